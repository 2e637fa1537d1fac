import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { closingText, isKnownClosing, NO_HANDSHAKE } from './closings';

const document = readFileSync(new URL('../../../docs/guarantees.md', import.meta.url), 'utf8');
const table = document.slice(document.indexOf('## How a socket ends'), document.indexOf('## What a socket may hold'));
const rows = [...table.matchAll(/^\| (\d+) \| (.*?) \|/gm)].map(([, code, reason]) => ({ code: Number(code), reason: reason! }));
const codes = rows.filter(({ code }) => code >= 1000);
const refusals = rows.filter(({ code }) => code < 1000);

test('the table was found', () => {
  expect(codes.length).toBeGreaterThan(10);
  expect(refusals.map(({ code }) => code)).toEqual(expect.arrayContaining([403, 429, 503]));
});

test.each(codes)('$code has words of its own', ({ code, reason }) => {
  expect(isKnownClosing(code)).toBe(true);
  expect(closingText(code, reason)).toMatch(/^[A-ZÀ-Ú].*\.$/);
});

test('too many of a viewer: close one', () => {
  expect(closingText(4505, 'You have too many sockets open: close some, or come back later')).toContain('Feche uma delas');
});

test('too many of an address or a process are told from too many of a viewer', () => {
  expect(closingText(4505, 'Too many sockets from one address: come back later')).toContain('a partir desta rede');
});

test('a handshake that fails again names what may be the cause, as a browser shows none', () => {
  expect([1, 2, 3].map((failures) => closingText(1006, '', failures))).toEqual([null, NO_HANDSHAKE, NO_HANDSHAKE]);
});

test("an unknown code is shown with the server's reason", () => {
  expect(closingText(4999, 'Nobody knows')).toContain('4999 Nobody knows');
});
