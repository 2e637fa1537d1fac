/**
 * What this browser knows of a room's log: a pure reducer that may be handed anything twice, late, or out of date.
 *
 * Invariants: a repeated event changes nothing (the same state object comes back); of a message only a copy with a
 * greater `changedSequence` replaces the one that is known, wherever either came from; an event that leaves a hole in
 * the sequences is not applied but sets `hasHole`, after which the room must be read anew (`opened`).
 */

import type { Message, MessageConnection, MessageEvent } from './types';

export interface UnsentMessage {
  idempotencyKey: string;
  text: string;
  /** Why it could not be sent; null while it is on its way. */
  refusal: string | null;
}

export interface Log {
  viewerMemberId: string | null;
  messages: ReadonlyMap<string, Message>;
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
      return withMessages(log, [action.message]);
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
  const incoming = page.edges.map(({ node }) => node);
  const merged = withMessages(log, incoming);
  const { hasPreviousPage, startCursor } = page.pageInfo;
  const completeFrom = hasPreviousPage ? (incoming[0]?.sequence ?? Infinity) : 0;
  if (completeFrom >= log.completeFrom) return merged;
  return { ...merged, completeFrom, earlierCursor: hasPreviousPage ? startCursor : null };
}

function eventReceived(log: Log, { sequence, message }: MessageEvent): Log {
  if (log.hasHole) return log;
  if (log.head !== null && sequence <= log.head) return log;
  if (log.head !== null && sequence > log.head + 1) return { ...log, hasHole: true };
  return { ...withMessages(log, [message]), head: sequence };
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

function withMessages(log: Log, incoming: readonly Message[]): Log {
  const newer = incoming.filter((it) => it.changedSequence > (log.messages.get(it.id)?.changedSequence ?? 0));
  const sent = new Set(
    incoming.filter(({ author }) => author.id === log.viewerMemberId).map(({ idempotencyKey }) => idempotencyKey),
  );
  const unsent = log.unsent.filter(({ idempotencyKey }) => !sent.has(idempotencyKey));
  if (newer.length === 0 && unsent.length === log.unsent.length) return log;
  const messages = new Map(log.messages);
  for (const it of newer) messages.set(it.id, it);
  return { ...log, messages, unsent };
}
