/**
 * How GraphiQL reaches the server. What is typed in its headers tab goes with every request, and with every
 * subscription as `connectionParams`. The fetcher of @graphiql/toolkit gives up on a lost socket after five tries and
 * goes on without what was said meanwhile; this one does neither.
 */

import type { Fetcher, FetcherParams, FetcherReturnType } from '@graphiql/toolkit';
import { type DefinitionNode, type DocumentNode, getOperationAST, Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';

import { resumable } from '../resumable';
import { httpUrl, socketUrl } from './endpoint';

type Headers = Record<string, string>;

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

/** One socket per run: its headers are those of the moment, and it closes when the run is stopped. */
function subscribe({ query, operationName, variables }: FetcherParams, connectionParams: Headers): FetcherReturnType {
  const client = createClient({
    url: socketUrl,
    connectionParams,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    keepAlive: 12_000,
  });
  return {
    subscribe(observer) {
      const { next, error, complete } = observer as Exclude<typeof observer, Function | null | undefined>;
      const stop = resumable(client)(
        { query, operationName: operationName ?? null, variables: variables as Record<string, unknown> },
        {
          next: (result) => next(result as Parameters<typeof next>[0]),
          error: (reason) => error(asError(reason)),
          complete: () => complete(),
        },
      );
      return { unsubscribe: stop };
    },
  };
}

function asError(reason: unknown): unknown {
  if (!(reason instanceof CloseEvent)) return reason;
  return new Error(`The socket was closed with ${reason.code} ${reason.reason}`.trim());
}
