import { type RefObject, useLayoutEffect, useRef, useState } from 'react';

const NEAR_PX = 48;

/**
 * Keep a scrolling element at its end while it is there, and where the reader is looking otherwise: also when `first`
 * (what stands at the top) changes because something was put before it.
 */
export function useStickToEnd(scroller: RefObject<HTMLElement | null>, first: unknown) {
  const [isAtEnd, setIsAtEnd] = useState(true);
  const sticks = useRef(true);
  const before = useRef<{ first: unknown; height: number }>({ first, height: 0 });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (sticks.current) element.scrollTop = element.scrollHeight;
    else if (before.current.first !== first) element.scrollTop += element.scrollHeight - before.current.height;
    before.current = { first, height: element.scrollHeight };
  });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (sticks.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller]);

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    sticks.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    setIsAtEnd(sticks.current);
  };

  const goToEnd = () => {
    sticks.current = true;
    setIsAtEnd(true);
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };

  return { isAtEnd, onScroll, goToEnd };
}
