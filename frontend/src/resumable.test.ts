import type { FormattedExecutionResult } from 'graphql';
import type { Client, Sink, SubscribePayload } from 'graphql-ws';
import { expect, test } from 'vitest';

import { resumable } from './resumable';

/** Stands for graphql-ws: keeps the payload by reference and encodes it at every (re)subscribe, as the real one does. */
function fakeClient() {
  let subscribed: { payload: SubscribePayload; sink: Sink<FormattedExecutionResult> } | undefined;
  const client = {
    subscribe(payload: SubscribePayload, sink: Sink<FormattedExecutionResult>) {
      subscribed = { payload, sink };
      return () => {
        subscribed = undefined;
      };
    },
  } as unknown as Pick<Client, 'subscribe'>;
  return {
    client,
    variablesOnTheWire: () => JSON.parse(JSON.stringify(subscribed?.payload)).variables,
    receive: (result: FormattedExecutionResult) => subscribed?.sink.next(result),
    isSubscribed: () => subscribed !== undefined,
  };
}

const ignoring = { next() {}, error() {}, complete() {} };

test('a reconnect goes on after the newest cursor', () => {
  const { client, receive, variablesOnTheWire } = fakeClient();
  resumable(client)({ query: '…', variables: { roomId: 'r', after: 'c1' } }, ignoring);
  expect(variablesOnTheWire()).toEqual({ roomId: 'r', after: 'c1' });
  receive({ data: { messages: { cursor: 'c2' } } });
  receive({ data: { messages: { cursor: 'c3' } } });
  expect(variablesOnTheWire()).toEqual({ roomId: 'r', after: 'c3' });
});

test('a result without a cursor changes nothing', () => {
  const { client, receive, variablesOnTheWire } = fakeClient();
  resumable(client)({ query: '…', variables: { after: 'c1' } }, ignoring);
  receive({ data: null });
  receive({ data: { messages: { sequence: 3 } } });
  expect(variablesOnTheWire()).toEqual({ after: 'c1' });
});

test("the caller's variables stay as they are, and every result is handed on", () => {
  const { client, receive, isSubscribed } = fakeClient();
  const variables = Object.freeze({ roomId: 'r' });
  const results: FormattedExecutionResult[] = [];
  const stop = resumable(client)({ query: '…', variables }, { ...ignoring, next: (r) => results.push(r) });
  receive({ data: { messages: { cursor: 'c1' } } });
  expect(results).toEqual([{ data: { messages: { cursor: 'c1' } } }]);
  stop();
  expect(isSubscribed()).toBe(false);
});
