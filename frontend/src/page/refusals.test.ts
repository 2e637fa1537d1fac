import { CombinedError } from 'urql';
import { GraphQLError } from 'graphql';
import { expect, test } from 'vitest';

import { joinRefusalText, refusalText } from './refusals';

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

test('a lost connection is told from a refusal', () => {
  const lost = new CombinedError({ networkError: new TypeError('Failed to fetch') });
  expect(refusalText(lost)).toContain('conexão');
});

test('an unknown code still gets a sentence', () => {
  expect(refusalText(refused({ code: 'NEW_ONE' }))).toBe('Não deu certo. Tente de novo.');
});
