import { expect, test } from 'vitest';

import { pauseMs, SLOW_PAUSE_MS } from './retry';

test('the pause doubles, up to a bound', () => {
  expect([0, 1, 2, 3, 4, 40].map((retries) => pauseMs(retries, 1006, 1))).toEqual([1, 2, 4, 8, 10, 10].map((s) => s * 1000));
});

test.each([4403, 4505, 4506])('after %i it is a slow pace from the first try on', (code) => {
  expect([0, 7].map((retries) => pauseMs(retries, code, 1))).toEqual([SLOW_PAUSE_MS, SLOW_PAUSE_MS]);
});

test('clients that were sent away together do not come back together', () => {
  expect(pauseMs(0, 1012, 0)).toBe(pauseMs(0, 1012, 1) / 2);
});
