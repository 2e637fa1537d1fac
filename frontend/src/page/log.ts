/**
 * What this browser knows of a room's log: a pure reducer that may be handed anything twice, late, or out of date.
 *
 * Invariants: a repeated event changes nothing (the same state object comes back); an older state of a message never
 * overwrites a newer one (events are ordered by sequence, all else by when the message was revised); a deletion is
 * never undone; an event that leaves a hole in the sequences is not applied but sets `hasHole`, after which the room
 * must be read anew (`opened`).
 */

import type { Message, MessageConnection, MessageEvent } from './types';

export interface UnsentMessage {
  idempotencyKey: string;
  text: string;
  /** Why it could not be sent; null while it is on its way. */
  refusal: string | null;
}

interface KnownMessage {
  message: Message;
  /** Whether an event brought this state, and not a page of history or a mutation's answer. */
  fromEvent: boolean;
}

export interface Log {
  viewerMemberId: string | null;
  messages: ReadonlyMap<string, KnownMessage>;
  /** History is complete from this sequence on; what is known before it is kept but not shown. */
  completeFrom: number;
  /** Pass as `before` for the page before; null when there is none. */
  earlierCursor: string | null;
  /** Sequence of the newest event applied; null until the first one. */
  head: number | null;
  hasHole: boolean;
  unsent: readonly UnsentMessage[];
}

export type LogAction =
  | { type: 'opened'; viewerMemberId: string; page: MessageConnection; unsent?: readonly UnsentMessage[] }
  | { type: 'earlierLoaded'; page: MessageConnection }
  | { type: 'eventReceived'; event: MessageEvent }
  | { type: 'answered'; message: Message }
  | { type: 'sending'; idempotencyKey: string; text: string }
  | { type: 'refused'; idempotencyKey: string; refusal: string }
  | { type: 'discarded'; idempotencyKey: string };

export const emptyLog: Log = {
  viewerMemberId: null,
  messages: new Map(),
  completeFrom: Infinity,
  earlierCursor: null,
  head: null,
  hasHole: false,
  unsent: [],
};

export function logReducer(log: Log, action: LogAction): Log {
  switch (action.type) {
    case 'opened':
      return opened(log, action);
    case 'earlierLoaded':
      return withPage(log, action.page);
    case 'eventReceived':
      return eventReceived(log, action.event);
    case 'answered':
      return withMessages(log, [{ message: action.message, fromEvent: false }]);
    case 'sending':
      return sending(log, action);
    case 'refused':
      return refused(log, action);
    case 'discarded':
      return { ...log, unsent: log.unsent.filter((it) => it.idempotencyKey !== action.idempotencyKey) };
  }
}

/** The messages to show, in sending order. */
export function messagesInOrder(log: Log): Message[] {
  return [...log.messages.values()]
    .map(({ message }) => message)
    .filter(({ sequence }) => sequence >= log.completeFrom)
    .sort((a, b) => a.sequence - b.sequence);
}

function opened(log: Log, action: Extract<LogAction, { type: 'opened' }>): Log {
  const unsent = [...log.unsent];
  for (const it of action.unsent ?? []) {
    if (!unsent.some(({ idempotencyKey }) => idempotencyKey === it.idempotencyKey)) unsent.push(it);
  }
  return withPage({ ...emptyLog, viewerMemberId: action.viewerMemberId, unsent }, action.page);
}

function withPage(log: Log, page: MessageConnection): Log {
  const incoming = page.edges.map(({ node }) => ({ message: node, fromEvent: false }));
  const merged = withMessages(log, incoming);
  const { hasPreviousPage, startCursor } = page.pageInfo;
  const completeFrom = hasPreviousPage ? (incoming[0]?.message.sequence ?? Infinity) : 0;
  if (completeFrom >= log.completeFrom) return merged;
  return { ...merged, completeFrom, earlierCursor: hasPreviousPage ? startCursor : null };
}

function eventReceived(log: Log, { sequence, message }: MessageEvent): Log {
  if (log.hasHole) return log;
  if (log.head !== null && sequence <= log.head) return log;
  if (log.head !== null && sequence > log.head + 1) return { ...log, hasHole: true };
  return { ...withMessages(log, [{ message, fromEvent: true }]), head: sequence };
}

function sending(log: Log, { idempotencyKey, text }: { idempotencyKey: string; text: string }): Log {
  const message: UnsentMessage = { idempotencyKey, text, refusal: null };
  const isRetry = log.unsent.some((it) => it.idempotencyKey === idempotencyKey);
  return {
    ...log,
    unsent: isRetry
      ? log.unsent.map((it) => (it.idempotencyKey === idempotencyKey ? message : it))
      : [...log.unsent, message],
  };
}

function refused(log: Log, { idempotencyKey, refusal }: { idempotencyKey: string; refusal: string }): Log {
  return {
    ...log,
    unsent: log.unsent.map((it) => (it.idempotencyKey === idempotencyKey ? { ...it, refusal } : it)),
  };
}

function withMessages(log: Log, incoming: readonly KnownMessage[]): Log {
  const newer = incoming.filter((it) => isNewer(log.messages.get(it.message.id), it));
  const sent = new Set(
    incoming
      .filter(({ message }) => message.author.id === log.viewerMemberId)
      .map(({ message }) => message.idempotencyKey),
  );
  const unsent = log.unsent.filter(({ idempotencyKey }) => !sent.has(idempotencyKey));
  if (newer.length === 0 && unsent.length === log.unsent.length) return log;
  const messages = new Map(log.messages);
  for (const it of newer) messages.set(it.message.id, it);
  return { ...log, messages, unsent };
}

function isNewer(known: KnownMessage | undefined, incoming: KnownMessage): boolean {
  if (known === undefined) return true;
  if (known.message.deletedAt !== null) return false;
  if (incoming.message.deletedAt !== null) return true;
  // Events are applied in the log's order, and that is a better witness than the clocks of two servers.
  if (known.fromEvent && incoming.fromEvent) return true;
  return compareInstants(revisedAt(incoming.message), revisedAt(known.message)) > 0;
}

function revisedAt({ editedAt, sentAt }: Message): string {
  return editedAt ?? sentAt;
}

/** Compare ISO instants of one form; `Date` alone would drop the microseconds. */
function compareInstants(a: string, b: string): number {
  return Date.parse(a) - Date.parse(b) || (a < b ? -1 : a > b ? 1 : 0);
}
