/**
 * The one way to the server: queries and mutations by fetch, subscriptions by graphql-transport-ws, both at /graphql/
 * and both known by the session cookie. A lost socket is tried again for as long as the page is open.
 */

import {
  type AnyVariables,
  type CombinedError,
  createClient,
  type DocumentInput,
  fetchExchange,
  subscriptionExchange,
} from 'urql';
import { createClient as createSocketClient } from 'graphql-ws';
import { onEnd, pipe, subscribe } from 'wonka';

import { resumable } from '../resumable';
import { connection } from './connection';

const PATH = '/graphql/';
const ANSWER_TIMEOUT_MS = 15_000;
const PONG_TIMEOUT_MS = 5_000;
const LONGEST_PAUSE_MS = 10_000;

let pongTimeout: ReturnType<typeof setTimeout> | undefined;

const socket = createSocketClient({
  url: () => new URL(PATH, location.href.replace(/^http/, 'ws')).href,
  lazy: true,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait,
  keepAlive: 12_000,
  on: {
    connecting: (isRetry) => connection.set(isRetry ? 'reconnecting' : 'connecting'),
    connected: () => connection.set('connected'),
    closed: (event) => {
      clearTimeout(pongTimeout);
      connection.set((event as CloseEvent).code === 1000 ? 'idle' : 'reconnecting');
    },
    // A network that vanished without a word: no pong, no socket.
    ping: (received) => {
      if (!received) pongTimeout = setTimeout(() => socket.terminate(), PONG_TIMEOUT_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimeout);
    },
  },
});

export const client = createClient({
  url: PATH,
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = '', variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: resumable(socket)(
            { query, variables: variables ?? {} },
            {
              next: (result) => sink.next(result as Parameters<typeof sink.next>[0]),
              // GraphQL errors are the last word of a subscription; urql would wait for more after them.
              error: (error) =>
                Array.isArray(error) ? sink.next({ errors: error, hasNext: false }) : sink.error(error),
              complete: () => sink.complete(),
            },
          ),
        }),
      }),
    }),
  ],
  requestPolicy: 'network-only',
  preferGetMethod: false,
  fetchOptions: { credentials: 'same-origin' },
  fetch: fetchInTime,
});

interface Follower<Data> {
  onData(data: Data): void;
  /** The server ended it, with or without a reason; nothing comes any more. */
  onEnd(error: CombinedError | undefined): void;
}

/** Follow a subscription until the returned function is called. Lost sockets are no end: it goes on after them. */
export function follow<Data, Variables extends AnyVariables>(
  document: DocumentInput<Data, Variables>,
  variables: Variables,
  follower: Follower<Data>,
): () => void {
  let isOver = false;
  let reason: CombinedError | undefined;
  const { unsubscribe } = pipe(
    client.subscription(document, variables),
    onEnd(() => {
      if (!isOver) follower.onEnd(reason);
      isOver = true;
    }),
    subscribe(({ data, error }) => {
      reason = error;
      if (data && !isOver) follower.onData(data);
    }),
  );
  return () => {
    isOver = true;
    unsubscribe();
  };
}

/** Wait longer after each failure, up to a bound; when the network is back, not at all. */
function retryWait(retries: number): Promise<void> {
  const pause = Math.min(1000 * 2 ** retries, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => {
    const resume = () => {
      clearTimeout(timeout);
      removeEventListener('online', resume);
      resolve();
    };
    const timeout = setTimeout(resume, pause);
    addEventListener('online', resume);
  });
}

/** A send that gets no answer must become a refusal one can try again, not wait for ever. */
async function fetchInTime(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const abort = new AbortController();
  const timeout = setTimeout(() => abort.abort(new Error('No answer in time')), ANSWER_TIMEOUT_MS);
  init?.signal?.addEventListener('abort', () => abort.abort());
  try {
    return await fetch(input, { ...init, signal: abort.signal });
  } finally {
    clearTimeout(timeout);
  }
}
