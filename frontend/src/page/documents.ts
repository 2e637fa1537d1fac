/** Every GraphQL document of the page. `documents.test.ts` holds each against the exported schema. */

import { gql } from 'urql';

import type { Message, MessageConnection, MessageEvent, Room, RoomSummary } from './types';

const RoomSummaryParts = gql`
  fragment RoomSummaryParts on Room {
    slug
    name
    description
    access
    isArchived
  }
`;

const MessageParts = gql`
  fragment MessageParts on Message {
    id
    sequence
    changedSequence
    author {
      id
      displayName
    }
    text
    sentAt
    editedAt
    deletedAt
    idempotencyKey
  }
`;

const MessagePageParts = gql`
  fragment MessagePageParts on MessageConnection {
    edges {
      node {
        ...MessageParts
      }
    }
    pageInfo {
      hasPreviousPage
      startCursor
      endCursor
    }
  }
  ${MessageParts}
`;

export interface RoomsData {
  rooms: { edges: { node: RoomSummary }[]; pageInfo: { hasNextPage: boolean } };
  room: RoomSummary | null;
}

/** The rooms to choose from and, beside them, the one whose slug was typed. */
export const RoomsDocument = gql<RoomsData, { search: string | null; slug: string }>`
  query Rooms($search: String, $slug: String!) {
    rooms(first: 50, search: $search) {
      edges {
        node {
          ...RoomSummaryParts
        }
      }
      pageInfo {
        hasNextPage
      }
    }
    room(slug: $slug) {
      ...RoomSummaryParts
    }
  }
  ${RoomSummaryParts}
`;

export interface ViewerData {
  viewer: {
    displayName: string | null;
    members: { id: string; room: Pick<RoomSummary, 'slug' | 'name' | 'isArchived'> }[];
  };
}

export const ViewerDocument = gql<ViewerData, Record<string, never>>`
  query Viewer {
    viewer {
      displayName
      members {
        id
        room {
          slug
          name
          isArchived
        }
      }
    }
  }
`;

export const RoomDocument = gql<{ room: Room | null }, { slug: string }>`
  query Room($slug: String!) {
    room(slug: $slug) {
      id
      ...RoomSummaryParts
      cursor
      viewerMember {
        id
        displayName
        role
      }
      messages(last: 50) {
        ...MessagePageParts
      }
    }
  }
  ${RoomSummaryParts}
  ${MessagePageParts}
`;

export interface EarlierMessagesData {
  room: { messages: MessageConnection | null } | null;
}

export const EarlierMessagesDocument = gql<EarlierMessagesData, { slug: string; before: string }>`
  query EarlierMessages($slug: String!, $before: String!) {
    room(slug: $slug) {
      messages(last: 50, before: $before) {
        ...MessagePageParts
      }
    }
  }
  ${MessagePageParts}
`;

export const MessagesDocument = gql<
  { messages: MessageEvent },
  { roomId: string; after: string | null }
>`
  subscription Messages($roomId: ID!, $after: String) {
    messages(roomId: $roomId, after: $after) {
      cursor
      sequence
      kind
      message {
        ...MessageParts
      }
    }
  }
  ${MessageParts}
`;

export interface JoinRoomInput {
  slug: string;
  displayName: string;
  password: string | null;
}

export const JoinRoomDocument = gql<
  { joinRoom: { room: { slug: string }; token: string | null } },
  { input: JoinRoomInput }
>`
  mutation JoinRoom($input: JoinRoomInput!) {
    joinRoom(input: $input) {
      room {
        slug
      }
      token
    }
  }
`;

/** Whether the server knows this browser as a member of the room. */
export const MembershipDocument = gql<{ room: { viewerMember: { id: string } | null } | null }, { slug: string }>`
  query Membership($slug: String!) {
    room(slug: $slug) {
      viewerMember {
        id
      }
    }
  }
`;

export const LeaveRoomDocument = gql<
  { leaveRoom: { room: { slug: string } } },
  { input: { roomId: string } }
>`
  mutation LeaveRoom($input: LeaveRoomInput!) {
    leaveRoom(input: $input) {
      room {
        slug
      }
    }
  }
`;

export const SendMessageDocument = gql<
  { sendMessage: { message: Message } },
  { input: { roomId: string; text: string; idempotencyKey: string } }
>`
  mutation SendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      message {
        ...MessageParts
      }
    }
  }
  ${MessageParts}
`;

export const EditMessageDocument = gql<
  { editMessage: { message: Message } },
  { input: { messageId: string; text: string } }
>`
  mutation EditMessage($input: EditMessageInput!) {
    editMessage(input: $input) {
      message {
        ...MessageParts
      }
    }
  }
  ${MessageParts}
`;

export const DeleteMessageDocument = gql<
  { deleteMessage: { message: Message } },
  { input: { messageId: string } }
>`
  mutation DeleteMessage($input: DeleteMessageInput!) {
    deleteMessage(input: $input) {
      message {
        ...MessageParts
      }
    }
  }
  ${MessageParts}
`;
