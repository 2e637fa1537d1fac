import { expect, test } from 'vitest';

import { isCancelKey, isEnterOfComposition, isSendKey, type KeyPress } from './keys';

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  keyCode: key === 'Enter' ? 13 : 27,
  isComposing: false,
  shiftKey: false,
  altKey: false,
  ...more,
});

/**
 * The keydowns of: take a candidate with Enter, then send with Enter. `end` is where `compositionend` comes; only the
 * keydown differs from browser to browser. Safari: the W3C's UI Events issue 202, WebKit bug 165004.
 */
const SEQUENCES: Record<string, (KeyPress | 'end')[]> = {
  'Chrome and Edge': [press('Enter', { isComposing: true, keyCode: 229 }), 'end', press('Enter')],
  'Chrome on Windows': [press('Process', { isComposing: true, keyCode: 229 }), 'end', press('Enter')],
  Firefox: [press('Enter', { isComposing: true, keyCode: 229 }), 'end', press('Enter')],
  'Firefox before 65': [press('Enter', { isComposing: true, keyCode: 13 }), 'end', press('Enter')],
  Safari: ['end', press('Enter', { isComposing: false, keyCode: 229 }), press('Enter')],
};

test.each(Object.entries(SEQUENCES))('%s: the Enter that takes a candidate sends nothing, the next one does', (_, sequence) => {
  const presses = sequence.filter((it) => it !== 'end');
  expect(presses.map((it) => isSendKey(it, false))).toEqual([false, true]);
});

test.each(Object.entries(SEQUENCES))('%s: it submits no form either', (browser, sequence) => {
  const presses = sequence.filter((it) => it !== 'end');
  const isEnter = browser !== 'Chrome on Windows'; // its Process submits nothing by itself
  expect(presses.map(isEnterOfComposition)).toEqual([isEnter, false]);
});

test.each([
  ['in a composition', { isComposing: true }],
  ["after Safari's", { keyCode: 229 }],
])('an Escape %s does not close the editor', (_, more) => {
  expect(isCancelKey(press('Escape', more))).toBe(false);
});

test('any other Escape does', () => {
  expect(isCancelKey(press('Escape'))).toBe(true);
});

test.each([{ shiftKey: true }, { altKey: true }])('Enter with %o is a new line', (more) => {
  expect(isSendKey(press('Enter', more), false)).toBe(false);
});

test('where fingers write, Enter is a new line', () => {
  expect(isSendKey(press('Enter'), true)).toBe(false);
});
