/**
 * How GraphiQL reaches the server. What is typed in its headers tab goes with every request, and with every
 * subscription as `connectionParams`. The fetcher of @graphiql/toolkit gives up on a lost socket after five tries and
 * goes on without what was said meanwhile; this one does neither.
 */

import type { Fetcher, FetcherParams, FetcherReturnType } from '@graphiql/toolkit';
import { type DefinitionNode, type DocumentNode, getOperationAST, Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';

import { resumable } from '../resumable';
import { pauseMs, pauseUntilBack } from '../retry';
import { httpUrl, socketUrl } from './endpoint';

type Headers = Record<string, string>;

const NORMAL = 1000;
const ABNORMAL = 1006;

export const fetcher: Fetcher = (params, options) => {
  const request = named(params);
  const headers: Headers = options?.headers ?? {};
  return isSubscription(request) ? subscribe(request, headers) : post(request, headers);
};

/** Just after a change of tabs GraphiQL still gives the name of the operation in the tab before. */
function named(params: FetcherParams): FetcherParams {
  const operations = definitionsOf(params.query).filter((it) => it.kind === Kind.OPERATION_DEFINITION);
  if (operations.length === 0 || operations.some((it) => it.name?.value === params.operationName)) return params;
  return { query: params.query, variables: params.variables };
}

function isSubscription({ query, operationName }: FetcherParams): boolean {
  const document: DocumentNode = { kind: Kind.DOCUMENT, definitions: definitionsOf(query) };
  return getOperationAST(document, operationName)?.operation === 'subscription';
}

/** None where there is a syntax error: the server says what is wrong. */
function definitionsOf(query: string): readonly DefinitionNode[] {
  try {
    return parse(query).definitions;
  } catch {
    return [];
  }
}

async function post(params: FetcherParams, headers: Headers) {
  const response = await fetch(httpUrl, {
    method: 'POST',
    credentials: 'same-origin',
    headers: { accept: 'application/graphql-response+json, application/json', 'content-type': 'application/json', ...headers },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The server answered ${response.status} ${response.statusText}, and not in JSON.`);
  }
}

/**
 * One socket per run: its headers are those of the moment, and it closes when the run is stopped. Why it was lost is
 * shown in the place of an answer, until the next one.
 */
function subscribe({ query, operationName, variables }: FetcherParams, connectionParams: Headers): FetcherReturnType {
  return {
    subscribe(observer) {
      const { next, error, complete } = observer as Exclude<typeof observer, Function | null | undefined>;
      const show = (result: unknown) => next(result as Parameters<typeof next>[0]);
      const client = socketClient(connectionParams, (why) => show({ errors: [{ message: `${why}; trying again …` }] }));
      const stop = resumable(client)(
        { query, operationName: operationName ?? null, variables: variables as Record<string, unknown> },
        { next: show, error: (reason) => error(asError(reason)), complete: () => complete() },
      );
      return { unsubscribe: stop };
    },
  };
}

function socketClient(connectionParams: Headers, onLost: (why: string) => void) {
  let lastCode: number | undefined;
  return createClient({
    url: socketUrl,
    connectionParams,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => pauseUntilBack(pauseMs(retries, lastCode)),
    keepAlive: 12_000,
    on: {
      closed: (event) => {
        lastCode = (event as CloseEvent).code;
        if (lastCode !== NORMAL) onLost(closingText(event as CloseEvent));
      },
    },
  });
}

/** A refused handshake (403, 429, 503) shows no reason to a page: browsers keep it to themselves. */
function closingText({ code, reason }: CloseEvent): string {
  if (code !== ABNORMAL) return `The socket was closed with ${[code, reason].join(' ').trim()}`;
  return 'The socket was lost or refused: the server is down or full, this address has too many sockets open, or something on the way blocks WebSockets';
}

function asError(reason: unknown): unknown {
  return reason instanceof CloseEvent ? new Error(closingText(reason)) : reason;
}
