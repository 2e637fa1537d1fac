import type { FormattedExecutionResult } from 'graphql';
import type { Client, Sink, SubscribePayload } from 'graphql-ws';

/**
 * Subscribe so that a reconnect goes on after the newest cursor received: graphql-ws turns the payload to JSON anew at
 * every (re)subscribe, so it is enough to keep `variables.after` current in an object of our own. The cursor is that of
 * the event in the result's first field.
 */
export function resumable(client: Pick<Client, 'subscribe'>) {
  return (payload: SubscribePayload, sink: Sink<FormattedExecutionResult>): (() => void) => {
    const variables = { ...payload.variables };
    const next = (result: FormattedExecutionResult) => {
      const event = Object.values(result.data ?? {})[0] as { cursor?: unknown } | null | undefined;
      if (typeof event?.cursor === 'string') variables['after'] = event.cursor;
      sink.next(result);
    };
    return client.subscribe(
      { ...payload, variables },
      { next, error: (error) => sink.error(error), complete: () => sink.complete() },
    );
  };
}
