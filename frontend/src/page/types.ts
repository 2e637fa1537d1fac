/** What the documents in `documents.ts` select, in the names of the schema. */

export type RoomAccess = 'OPEN' | 'PASSWORD' | 'MEMBERS';
export type MemberRole = 'MEMBER' | 'MODERATOR' | 'OWNER';
export type MessageEventKind = 'SENT' | 'EDITED' | 'DELETED';

export interface RoomSummary {
  slug: string;
  name: string;
  description: string;
  access: RoomAccess;
  isArchived: boolean;
}

export interface Member {
  id: string;
  displayName: string;
  role: MemberRole;
}

export interface Message {
  id: string;
  /** Position of its sending in the room's log. */
  sequence: number;
  /** Position of its latest change there: of two copies, the one with the greater is the newer. */
  changedSequence: number;
  author: Pick<Member, 'id' | 'displayName'>;
  /** Null once deleted. */
  text: string | null;
  sentAt: string;
  editedAt: string | null;
  deletedAt: string | null;
  idempotencyKey: string | null;
}

export interface MessageEvent {
  cursor: string;
  sequence: number;
  kind: MessageEventKind;
  message: Message;
}

export interface MessageConnection {
  edges: { node: Message }[];
  pageInfo: { hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

export interface Room extends RoomSummary {
  id: string;
  cursor: string | null;
  viewerMember: Member | null;
  messages: MessageConnection | null;
}

/** A room as its member sees it. */
export interface EnteredRoom extends Room {
  viewerMember: Member;
  messages: MessageConnection;
}
