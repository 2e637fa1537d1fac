import { readFileSync } from 'node:fs';

import { CombinedError } from 'urql';
import { GraphQLError } from 'graphql';
import { expect, test } from 'vitest';

import { ConnectionClosed } from './closings';
import { isKnownCode, isLasting, joinRefusalText, lossText, refusalText } from './refusals';

const refused = (extensions: Record<string, unknown>) =>
  new CombinedError({ graphQLErrors: [new GraphQLError('refused', { extensions })] });

test.each(['NOT_FOUND', 'WRONG_PASSWORD'])('entering says the same for %s', (code) => {
  expect(joinRefusalText(refused({ code }))).toBe('Sala ou senha errada');
});

test('bad input names the field in words', () => {
  expect(refusalText(refused({ code: 'BAD_USER_INPUT', field: 'displayName' }))).toContain('O nome');
});

test('a rate limit says how long to wait', () => {
  expect(refusalText(refused({ code: 'RATE_LIMITED', retryAfter: 2.4 }))).toContain('3 s');
});

test('a mute says until when, by the clock on the wall', () => {
  const text = refusalText(refused({ code: 'FORBIDDEN', mutedUntil: '2026-11-24T12:30:00' }));
  expect(text).toContain('24/11/2026');
  expect(text).toContain('12:30');
});

test('a ban is said, also on entering', () => {
  const banned = refused({ code: 'FORBIDDEN', isBanned: true });
  expect([refusalText(banned), joinRefusalText(banned), lossText(banned)]).toEqual(
    Array(3).fill('Você foi banido desta sala.'),
  );
});

test.each(['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND', 'ROOM_ARCHIVED'])('%s takes the room away', (code) => {
  expect(lossText(refused({ code }))).not.toBeNull();
});

test('what passes does not take the room away', () => {
  const lost = new CombinedError({ networkError: new TypeError('Failed to fetch') });
  expect([lost, refused({ code: 'INTERNAL_SERVER_ERROR' }), undefined].map(lossText)).toEqual([null, null, null]);
});

test('a lost connection is told from a refusal', () => {
  const lost = new CombinedError({ networkError: new TypeError('Failed to fetch') });
  expect(refusalText(lost)).toContain('conexão');
});

test('an unknown code still gets a sentence', () => {
  expect(refusalText(refused({ code: 'NEW_ONE' }))).toBe('Não deu certo. Tente de novo.');
});

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const table = readme.slice(readme.indexOf('Errors carry `extensions.code`'), readme.indexOf('How much of everything there may be'));
const documented = [...table.matchAll(/`([A-Z]+_[A-Z_]+|[A-Z]{6,})`/g)].map(([, code]) => code!);

test('the table of codes was found', () => {
  expect(documented).toEqual(expect.arrayContaining(['FORBIDDEN', 'CURSOR_AHEAD', 'INTERNAL_SERVER_ERROR']));
});

test.each([...documented, 'REFUSED_BY_PROXY'])('%s has words of its own', (code) => {
  expect(isKnownCode(code)).toBe(true);
  expect(refusalText(refused({ code }))).not.toBe('Não deu certo. Tente de novo.');
});

const answered = (status: number) =>
  new CombinedError({ networkError: new Error('Bad Gateway'), response: { status } as Response });

test.each([401, 403, 404, 413, 429, 500, 502, 503, 504])('an answer of %i that is not of Salas has words too', (status) => {
  expect(refusalText(answered(status))).not.toContain('Verifique a conexão');
});

test('a socket that is closed for good says why, and is not tried again at once', () => {
  const closed = new CombinedError({ networkError: new ConnectionClosed(4406, 'Subprotocol not acceptable') });
  expect(refusalText(closed)).toContain('Recarregue a página');
  expect(isLasting(closed)).toBe(true);
});

test.each(['RATE_LIMITED', 'INTERNAL_SERVER_ERROR'])('%s passes', (code) => {
  expect([isLasting(refused({ code })), isLasting(undefined)]).toEqual([false, false]);
});
