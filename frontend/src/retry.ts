/** How long to wait before a lost socket is tried again. */

const LONGEST_PAUSE_MS = 10_000;
export const SLOW_PAUSE_MS = 30_000;

/** Close codes that the same try meets again until something else changes: a tab is closed, the page is loaded anew. */
const SLOW_CODES = new Set([4403, 4505, 4506]);

export function pauseMs(retries: number, code: number | undefined, random = Math.random()): number {
  const pause = SLOW_CODES.has(code ?? 0) ? SLOW_PAUSE_MS : Math.min(1000 * 2 ** retries, LONGEST_PAUSE_MS);
  return pause * (0.5 + random / 2);
}

/** Resolves after `ms`, or at once when the network or the page is back: an old page that is shown again, a tab in front. */
export function pauseUntilBack(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const resume = () => {
      if (document.visibilityState === 'hidden') return;
      done();
    };
    const done = () => {
      clearTimeout(timeout);
      removeEventListener('online', done);
      removeEventListener('pageshow', done);
      document.removeEventListener('visibilitychange', resume);
      resolve();
    };
    const timeout = setTimeout(done, ms);
    addEventListener('online', done);
    addEventListener('pageshow', done);
    document.addEventListener('visibilitychange', resume);
  });
}
