/** Doing again what was refused only because it came too soon. */

import type { CombinedError } from 'urql';

import { extensionsOf } from './refusals';

const LONGEST_WAIT_S = 5;
const ATTEMPTS = 10;

interface Answer {
  error?: CombinedError | undefined;
}

/**
 * Resolves with the answer of the last attempt. Where the server asks for more than a moment's patience, or asks again
 * and again, that is its refusal, to be shown: the text is kept, and whoever wrote it decides.
 */
export async function inTurn<A extends Answer>(
  attempt: () => Promise<A>,
  pause: (seconds: number) => Promise<void> = seconds,
): Promise<A> {
  for (let number = 1; ; number += 1) {
    const answer = await attempt();
    const wait = waitOf(answer);
    if (wait === null || wait > LONGEST_WAIT_S || number === ATTEMPTS) return answer;
    await pause(wait);
  }
}

function waitOf({ error }: Answer): number | null {
  if (!error || error.networkError) return null;
  const { code, retryAfter } = extensionsOf(error);
  return code === 'RATE_LIMITED' && retryAfter !== undefined ? retryAfter : null;
}

function seconds(number: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, number * 1000));
}
