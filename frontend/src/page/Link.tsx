import type { ComponentProps, MouseEvent } from 'react';

import { navigate } from './route';

/** A link within the page; with a modifier key it stays what it is to the browser. */
export function Link({ href, ...rest }: ComponentProps<'a'> & { href: string }) {
  const onClick = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  return <a {...rest} href={href} onClick={onClick} />;
}
