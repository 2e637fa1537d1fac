/** What a member does in a room. Each answer goes into the log; each refusal comes back as a text to show. */

import type { Dispatch } from 'react';

import {
  DeleteMessageDocument,
  EarlierMessagesDocument,
  EditMessageDocument,
  LeaveRoomDocument,
  SendMessageDocument,
} from './documents';
import { newIdempotencyKey } from './idempotencyKey';
import { inTurn } from './inTurn';
import type { LogAction } from './log';
import { refusalText } from './refusals';
import { entrarPath, navigate } from './route';
import { client } from './transport';

type Refusal = string | null;

export interface RoomActions {
  /** Under the key of an earlier try it is the same message, however often it is sent. */
  send(text: string, idempotencyKey?: string): void;
  discard(idempotencyKey: string): void;
  edit(messageId: string, text: string): Promise<Refusal>;
  remove(messageId: string): Promise<Refusal>;
  loadEarlier(): Promise<Refusal>;
  leave(): Promise<Refusal>;
}

/** One send after the other, so that messages keep the order in which they were written. */
export class SendQueue {
  private last: Promise<void> = Promise.resolve();

  add(send: () => Promise<void>): void {
    this.last = this.last.then(send);
  }
}

interface Surroundings {
  slug: string;
  roomId: string | null;
  earlierCursor: string | null;
  dispatch: Dispatch<LogAction>;
  sends: SendQueue;
}

export function roomActions({ slug, roomId, earlierCursor, dispatch, sends }: Surroundings): RoomActions {
  async function sendNow(text: string, idempotencyKey: string) {
    if (roomId === null) return;
    const input = { roomId, text, idempotencyKey };
    const { data, error } = await inTurn(() => client.mutation(SendMessageDocument, { input }).toPromise());
    if (error) dispatch({ type: 'refused', idempotencyKey, refusal: refusalText(error) });
    else if (data) dispatch({ type: 'answered', message: data.sendMessage.message });
  }

  return {
    send(text, idempotencyKey = newIdempotencyKey()) {
      dispatch({ type: 'sending', idempotencyKey, text });
      sends.add(() => sendNow(text, idempotencyKey));
    },

    discard(idempotencyKey) {
      dispatch({ type: 'discarded', idempotencyKey });
    },

    async edit(messageId, text) {
      const input = { messageId, text };
      const { data, error } = await client.mutation(EditMessageDocument, { input }).toPromise();
      if (error) return refusalText(error);
      if (data) dispatch({ type: 'answered', message: data.editMessage.message });
      return null;
    },

    async remove(messageId) {
      const input = { messageId };
      const { data, error } = await client.mutation(DeleteMessageDocument, { input }).toPromise();
      if (error) return refusalText(error);
      if (data) dispatch({ type: 'answered', message: data.deleteMessage.message });
      return null;
    },

    async loadEarlier() {
      if (earlierCursor === null) return null;
      const variables = { slug, before: earlierCursor };
      const { data, error } = await client.query(EarlierMessagesDocument, variables).toPromise();
      if (error) return refusalText(error);
      if (data?.room?.messages) dispatch({ type: 'earlierLoaded', page: data.room.messages });
      return null;
    },

    async leave() {
      if (roomId === null) return null;
      const { error } = await client.mutation(LeaveRoomDocument, { input: { roomId } }).toPromise();
      if (error) return refusalText(error);
      navigate(entrarPath());
      return null;
    },
  };
}
