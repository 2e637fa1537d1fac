import { GraphQLError } from 'graphql';
import { CombinedError } from 'urql';
import { expect, test } from 'vitest';

import { inTurn } from './inTurn';

const refused = (extensions: Record<string, unknown>) => ({
  error: new CombinedError({ graphQLErrors: [new GraphQLError('refused', { extensions })] }),
});
const tooSoon = (retryAfter: number) => refused({ code: 'RATE_LIMITED', retryAfter });
const sent = { error: undefined };

/** What came of it, how often it was tried, and how long was waited before each further try. */
async function trying(...answers: { error?: CombinedError | undefined }[]) {
  const waits: number[] = [];
  let tried = 0;
  const attempt = async () => answers[Math.min(tried++, answers.length - 1)]!;
  const answer = await inTurn(attempt, async (seconds) => void waits.push(seconds));
  return { answer, tried, waits };
}

test('what is taken at once is tried once', async () => {
  expect(await trying(sent)).toEqual({ answer: sent, tried: 1, waits: [] });
});

test('what came too soon is tried again when the server says', async () => {
  expect(await trying(tooSoon(0.2), tooSoon(0.1), sent)).toEqual({ answer: sent, tried: 3, waits: [0.2, 0.1] });
});

test.each([
  ['a long wait', tooSoon(60)],
  ['a wait that is not named', refused({ code: 'RATE_LIMITED' })],
  ['another refusal', refused({ code: 'FORBIDDEN', retryAfter: 1 })],
  ['a lost connection', { error: new CombinedError({ networkError: new TypeError('Failed to fetch') }) }],
])('%s is for who wrote it to decide on', async (_, answer) => {
  expect(await trying(answer)).toEqual({ answer, tried: 1, waits: [] });
});

test('a server that says so again and again is believed in the end', async () => {
  const { answer, tried, waits } = await trying(tooSoon(0.2));
  expect([answer.error?.graphQLErrors[0]?.extensions['code'], tried, waits.length]).toEqual(['RATE_LIMITED', 10, 9]);
});
