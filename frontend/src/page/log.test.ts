import { expect, test } from 'vitest';

import { emptyLog, type Log, type LogAction, logReducer, messagesInOrder } from './log';
import type { Message, MessageConnection, MessageEvent } from './types';

const ME = 'me';
const OTHER = 'other';

/** One for all: nothing may depend on clocks. */
const INSTANT = '2026-11-22T12:00:00.000000+00:00';

function message(sequence: number, changes: Partial<Message> = {}): Message {
  return {
    id: `m${sequence}`,
    sequence,
    changedSequence: sequence,
    author: { id: OTHER, displayName: 'Ana' },
    text: `text ${sequence}`,
    sentAt: INSTANT,
    editedAt: null,
    deletedAt: null,
    idempotencyKey: null,
    ...changes,
  };
}

const edited = (sequence: number, changedSequence: number, editedAt = INSTANT) =>
  message(sequence, { changedSequence, text: `edited at ${changedSequence}`, editedAt });
const deleted = (sequence: number, changedSequence: number) =>
  message(sequence, { changedSequence, text: null, deletedAt: INSTANT });

const event = (sequence: number, now: Message, kind: MessageEvent['kind'] = 'SENT'): MessageEvent => ({
  cursor: `c${sequence}`,
  sequence,
  kind,
  message: now,
});

const page = (messages: Message[], hasPreviousPage = false): MessageConnection => ({
  edges: messages.map((node) => ({ node })),
  pageInfo: {
    hasPreviousPage,
    startCursor: messages[0] ? `c${messages[0].sequence}` : null,
    endCursor: messages.at(-1) ? `c${messages.at(-1)!.sequence}` : null,
  },
});

const after = (...actions: LogAction[]): Log => actions.reduce(logReducer, emptyLog);
const opened = (messages: Message[], hasPreviousPage = false): LogAction => ({
  type: 'opened',
  viewerMemberId: ME,
  page: page(messages, hasPreviousPage),
});
const received = (it: MessageEvent): LogAction => ({ type: 'eventReceived', event: it });
const texts = (log: Log) => messagesInOrder(log).map(({ text }) => text);

test('what is received follows the history', () => {
  const log = after(opened([message(1)]), received(event(2, message(2))));
  expect(texts(log)).toEqual(['text 1', 'text 2']);
});

test('a repeated event changes nothing, not even the object', () => {
  const log = after(opened([]), received(event(1, message(1))), received(event(2, message(2))));
  expect(logReducer(log, received(event(1, message(1))))).toBe(log);
  expect(logReducer(log, received(event(2, message(2))))).toBe(log);
});

test('a hole is noticed, nothing after it is shown, and reading the room anew mends it', () => {
  const holed = after(opened([]), received(event(1, message(1))), received(event(3, message(3))));
  expect(holed.hasHole).toBe(true);
  expect(texts(logReducer(holed, received(event(4, message(4)))))).toEqual(['text 1']);
  const mended = logReducer(holed, opened([message(1), message(2), message(3)]));
  expect(mended.hasHole).toBe(false);
  expect(texts(mended)).toEqual(['text 1', 'text 2', 'text 3']);
});

test('an out-of-date page does not undo an edit or a deletion', () => {
  const log = after(
    opened([message(3)], true),
    received(event(4, edited(1, 4), 'EDITED')),
    received(event(5, deleted(2, 5), 'DELETED')),
    { type: 'earlierLoaded', page: page([message(1), message(2)]) },
  );
  expect(texts(log)).toEqual(['edited at 4', null, 'text 3']);
});

const BY_A_FAST_CLOCK = edited(1, 2, '2026-11-22T12:00:09+00:00');
const BY_A_SLOW_CLOCK = edited(1, 3, '2026-11-22T12:00:08+00:00');

test.each<[string, (it: Message) => LogAction]>([
  ['an event', (it) => received(event(it.changedSequence, it, 'EDITED'))],
  ['a page', (it) => ({ type: 'earlierLoaded', page: page([it]) })],
  ['an answer', (it) => ({ type: 'answered', message: it })],
])('the order of the log decides between two edits, not the clocks of the servers (%s)', (_, arrival) => {
  const log = after(opened([BY_A_FAST_CLOCK]), arrival(BY_A_SLOW_CLOCK));
  expect(texts(log)).toEqual(['edited at 3']);
  const late = after(opened([BY_A_SLOW_CLOCK]), arrival(BY_A_FAST_CLOCK));
  expect(texts(late)).toEqual(['edited at 3']);
});

test('another copy of the same change changes nothing, not even the object', () => {
  const log = after(opened([edited(1, 2)]));
  expect(logReducer(log, { type: 'answered', message: edited(1, 2) })).toBe(log);
});

test('an event that brings a later state is followed by the event of that state', () => {
  const log = after(
    opened([message(1)]),
    received(event(2, deleted(1, 3), 'EDITED')),
    received(event(3, deleted(1, 3), 'DELETED')),
  );
  expect(texts(log)).toEqual([null]);
  expect([log.head, log.hasHole]).toEqual([3, false]);
});

test('a change to a message before the loaded history waits until its page is loaded', () => {
  const log = after(opened([message(3)], true), received(event(4, edited(1, 4), 'EDITED')));
  expect(texts(log)).toEqual(['text 3']);
  const all = logReducer(log, { type: 'earlierLoaded', page: page([message(1), message(2)]) });
  expect(texts(all)).toEqual(['edited at 4', 'text 2', 'text 3']);
  expect(all.earlierCursor).toBeNull();
});

test('the same page of history may come twice', () => {
  const log = after(
    opened([message(5)], true),
    { type: 'earlierLoaded', page: page([message(3), message(4)], true) },
    { type: 'earlierLoaded', page: page([message(1), message(2)]) },
  );
  const again = logReducer(log, { type: 'earlierLoaded', page: page([message(3), message(4)], true) });
  expect(again).toBe(log);
});

test.each<[string, LogAction]>([
  ['its event', received(event(1, message(1, { author: { id: ME, displayName: 'Eu' }, idempotencyKey: 'k' })))],
  ['the answer', { type: 'answered', message: message(1, { author: { id: ME, displayName: 'Eu' }, idempotencyKey: 'k' }) }],
])('a message on its way becomes the sent one with %s', (_, arrival) => {
  const log = after(opened([]), { type: 'sending', idempotencyKey: 'k', text: 'text 1' }, arrival);
  expect(log.unsent).toEqual([]);
  expect(texts(log)).toEqual(['text 1']);
});

test("another author's key does not take a message off", () => {
  const log = after(
    opened([]),
    { type: 'sending', idempotencyKey: 'k', text: 'mine' },
    received(event(1, message(1, { idempotencyKey: 'k' }))),
  );
  expect(log.unsent).toHaveLength(1);
});

test('a refused message stays, is tried again under its key, and outlives reading the room anew', () => {
  const log = after(
    opened([]),
    { type: 'sending', idempotencyKey: 'k', text: 'mine' },
    { type: 'refused', idempotencyKey: 'k', refusal: 'no' },
    opened([message(1)]),
  );
  expect(log.unsent).toEqual([{ idempotencyKey: 'k', text: 'mine', refusal: 'no' }]);
  const retried = logReducer(log, { type: 'sending', idempotencyKey: 'k', text: 'mine' });
  expect(retried.unsent).toEqual([{ idempotencyKey: 'k', text: 'mine', refusal: null }]);
});

test('what was unsent before a reload comes back once, unless it did arrive', () => {
  const mine = message(1, { author: { id: ME, displayName: 'Eu' }, idempotencyKey: 'arrived' });
  const unsent = ['arrived', 'lost'].map((idempotencyKey) => ({ idempotencyKey, text: 't', refusal: 'no' }));
  const again: LogAction = { type: 'opened', viewerMemberId: ME, page: page([mine]), unsent };
  expect(after(again, again).unsent.map((it) => it.idempotencyKey)).toEqual(['lost']);
});

/** Deterministic: a failing seed can be run again. (mulberry32) */
function randomFrom(seed: number) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A room as the server keeps it: the log of changes, and every message as it was after each. */
function randomServer(random: () => number, length: number) {
  const states: Map<string, Message>[] = [new Map()];
  const touched: Message[] = [];
  for (let sequence = 1; sequence <= length; sequence++) {
    const now = new Map(states.at(-1));
    const open = [...now.values()].filter(({ deletedAt }) => deletedAt === null);
    const target = open[Math.floor(random() * open.length)];
    const dice = random();
    const next =
      target && dice < 0.25
        ? { ...target, changedSequence: sequence, text: `edited ${sequence}`, editedAt: INSTANT }
        : target && dice < 0.35
          ? { ...target, changedSequence: sequence, text: null, deletedAt: INSTANT }
          : message(sequence);
    now.set(next.id, next);
    states.push(now);
    touched.push(next);
  }
  const at = (sequence: number) => [...states[sequence]!.values()].sort((a, b) => a.sequence - b.sequence);
  const eventAt = (sequence: number, readAt: number) =>
    event(sequence, states[readAt]!.get(touched[sequence - 1]!.id)!);
  return { at, eventAt };
}

test.each(Array.from({ length: 200 }, (_, seed) => [seed]))(
  'state plus what followed equals state read fresh, under doubling, replay and late pages (seed %i)',
  (seed) => {
    const random = randomFrom(seed);
    const upTo = (n: number) => Math.floor(random() * (n + 1));
    const length = 5 + upTo(40);
    const server = randomServer(random, length);
    const start = upTo(length);
    const shown = server.at(start).slice(-(1 + upTo(10)));
    const isPartial = shown.length < server.at(start).length;
    const earlierAt = (sequence: number) => page(server.at(sequence).filter((it) => it.sequence < shown[0]!.sequence));
    const readEarlierAt = start + upTo(length - start);

    let log = after(opened(shown, isPartial));
    const seenDeleted = new Set<string>();
    const expectDeletionsToLast = () => {
      for (const { id, deletedAt } of log.messages.values()) {
        if (deletedAt !== null) seenDeleted.add(id);
        else expect(seenDeleted).not.toContain(id);
      }
    };
    for (let sequence = start + 1; sequence <= length; sequence++) {
      const readAt = sequence + upTo(length - sequence);
      log = logReducer(log, received(server.eventAt(sequence, readAt)));
      const replayFrom = Math.max(start + 1, sequence - upTo(5));
      for (let old = replayFrom; old <= sequence && random() < 0.6; old++) {
        log = logReducer(log, received(server.eventAt(old, old)));
      }
      const answer = server.eventAt(1 + upTo(sequence - 1), sequence).message;
      if (random() < 0.2) log = logReducer(log, { type: 'answered', message: answer });
      expectDeletionsToLast();
    }
    if (isPartial) log = logReducer(log, { type: 'earlierLoaded', page: earlierAt(readEarlierAt) });

    expect(log.hasHole).toBe(false);
    expect(messagesInOrder(log)).toEqual(server.at(length));
  },
);
