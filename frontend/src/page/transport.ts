/**
 * The one way to the server: queries and mutations by fetch, subscriptions by graphql-transport-ws, both at the same
 * address and both known by the session cookie, or by a token where there are no cookies. A lost socket is tried again
 * for as long as the page is open, and why it was lost is in `connection`.
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

import { graphqlPath, graphqlSocketUrl } from '../base';
import { resumable } from '../resumable';
import { pauseMs, pauseUntilBack } from '../retry';
import { closingText, ConnectionClosed } from './closings';
import { connection } from './connection';
import { credentials, forgetToken } from './identity';

const ANSWER_TIMEOUT_MS = 15_000;
const PONG_TIMEOUT_MS = 5_000;
const FORBIDDEN = 4403;

let pongTimeout: ReturnType<typeof setTimeout> | undefined;
let lastCode: number | undefined;
let failures = 0; // since a try went well

const socket = createSocketClient({
  url: graphqlSocketUrl,
  connectionParams: credentials,
  lazy: true,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: (retries) => pauseUntilBack(pauseMs(retries, lastCode)),
  keepAlive: 12_000,
  on: {
    connecting: (isRetry) => connection.set(isRetry ? 'reconnecting' : 'connecting'),
    connected: () => {
      failures = 0;
      connection.set('connected');
    },
    closed: (event) => {
      clearTimeout(pongTimeout);
      closed(event as CloseEvent);
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

function closed({ code, reason }: CloseEvent): void {
  lastCode = code;
  if (code === 1000) return connection.set('idle');
  failures += 1;
  if (code === FORBIDDEN) forgetToken();
  connection.set('reconnecting', closingText(code, reason, failures));
}

export const client = createClient({
  url: graphqlPath,
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
                Array.isArray(error) ? sink.next({ errors: error, hasNext: false }) : sink.error(asError(error)),
              complete: () => sink.complete(),
            },
          ),
        }),
      }),
    }),
  ],
  requestPolicy: 'network-only',
  preferGetMethod: false,
  fetchOptions: () => ({ credentials: 'same-origin', headers: credentials() }),
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

/** What the socket's client gives up on comes as the event of its close. */
function asError(error: unknown): unknown {
  const { code, reason } = error as Partial<CloseEvent>;
  return typeof code === 'number' ? new ConnectionClosed(code, reason ?? '') : error;
}

/** A send that gets no answer must become a refusal one can try again, not wait for ever. */
async function fetchInTime(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const abort = new AbortController();
  const timeout = setTimeout(() => abort.abort(new Error('No answer in time')), ANSWER_TIMEOUT_MS);
  init?.signal?.addEventListener('abort', () => abort.abort());
  try {
    const response = await fetch(input, { ...init, signal: abort.signal });
    if (response.status === 401) forgetToken();
    return response;
  } finally {
    clearTimeout(timeout);
  }
}
