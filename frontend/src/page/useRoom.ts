/**
 * A room that is read, followed and written to.
 *
 * Lifecycle: read (`Room`), then follow from what was read; when the server ends the subscription, or a hole shows in
 * the log, after a pause all over again. Who turns out to be in the room no longer is sent to the entrance, with the
 * reason.
 */

import type { CombinedError } from 'urql';
import { useEffect, useMemo, useReducer, useRef, useState } from 'react';

import { SLOW_PAUSE_MS } from '../retry';
import { MessagesDocument, RoomDocument } from './documents';
import { emptyLog, type Log, logReducer } from './log';
import { rememberedUnsent, rememberUnsent } from './memory';
import { bannedText, extensionsOf, isLasting, lossText, NO_SUCH_ROOM, refusalText } from './refusals';
import { type RoomActions, roomActions, SendQueue } from './roomActions';
import { entrarPath, navigate, salaPath } from './route';
import { client, follow } from './transport';
import type { EnteredRoom, Room } from './types';

const PAUSE_BEFORE_READING_ANEW_MS = 2_000;

export interface OpenRoom {
  room: EnteredRoom | null;
  log: Log;
  /** Why the room cannot be read or followed just now; null when all is well. */
  trouble: string | null;
  actions: RoomActions;
}

export function useRoom(slug: string): OpenRoom {
  const [room, setRoom] = useState<EnteredRoom | null>(null);
  const [log, dispatch] = useReducer(logReducer, emptyLog);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [reading, setReading] = useState(0);
  const sends = useRef(new SendQueue());
  const loss = useRef<string | null>(null);

  useEffect(() => {
    let isOver = false;
    let stopFollowing = () => {};
    let timeout: ReturnType<typeof setTimeout> | undefined;
    const readAnewLater = (error: CombinedError | undefined) => {
      loss.current = lossText(error) ?? loss.current;
      if (error) setTrouble(loss.current ?? refusalText(error));
      timeout = setTimeout(() => setReading((n) => n + 1), pauseAfter(error));
    };

    async function open() {
      const { data, error } = await client.query(RoomDocument, { slug }).toPromise();
      if (isOver) return;
      if (!data) return readAnewLater(error);
      const reason = loss.current ?? bannedText(error) ?? (data.room ? null : NO_SUCH_ROOM);
      loss.current = null;
      if (!isEntered(data.room)) return navigate(entrarPath(data.room?.slug ?? slug), { replace: true, reason });
      if (data.room.slug !== slug) return navigate(salaPath(data.room.slug), { replace: true }); // it was renamed
      const { id, cursor, viewerMember, messages, isArchived } = data.room;
      setRoom(data.room);
      setTrouble(null);
      dispatch({ type: 'opened', viewerMemberId: viewerMember.id, page: messages, unsent: rememberedUnsent(id) });
      if (isArchived) return;
      const after = messages.pageInfo.endCursor ?? cursor;
      stopFollowing = follow(
        MessagesDocument,
        { roomId: id, after },
        { onData: (it) => dispatch({ type: 'eventReceived', event: it.messages }), onEnd: readAnewLater },
      );
    }

    void open();
    return () => {
      isOver = true;
      clearTimeout(timeout);
      stopFollowing();
    };
  }, [slug, reading]);

  useEffect(() => {
    if (log.hasHole) setReading((n) => n + 1);
  }, [log.hasHole]);

  useEffect(() => {
    if (room) rememberUnsent(room.id, log.unsent);
  }, [room, log.unsent]);

  const actions = useMemo(
    () => roomActions({ slug, roomId: room?.id ?? null, earlierCursor: log.earlierCursor, dispatch, sends: sends.current }),
    [slug, room?.id, log.earlierCursor],
  );

  return { room, log, trouble, actions };
}

function pauseAfter(error: CombinedError | undefined): number {
  if (isLasting(error)) return SLOW_PAUSE_MS;
  const seconds = error ? (extensionsOf(error).retryAfter ?? 0) : 0;
  return Math.max(PAUSE_BEFORE_READING_ANEW_MS, seconds * 1000);
}

function isEntered(room: Room | null): room is EnteredRoom {
  return room !== null && room.viewerMember !== null && room.messages !== null;
}
