import { basePath } from '../base';

/** The tabs that GraphiQL opens with on its first visit: each runs as it is. */

export interface ExampleRoom {
  id: string;
  slug: string;
}

export interface ExampleTab {
  query: string;
  variables?: string;
}

/** Asks for the room that the tabs are about. */
export const EXAMPLE_ROOM = `query ExampleRoom {
  room(slug: "lobby") { id slug }
  rooms(first: 1) { edges { node { id slug } } }
}`;

export function exampleTabs({ id, slug }: ExampleRoom): ExampleTab[] {
  const variables = JSON.stringify({ roomId: id }, null, 2);
  return [
    { query: lobby(slug) },
    { query: join(slug) },
    { query: FOLLOW, variables },
    { query: SAY, variables: JSON.stringify({ roomId: id, text: 'Hello from GraphiQL' }, null, 2) },
  ];
}

const lobby = (slug: string) => `# Welcome to Salas: rooms where people talk.
#
# Run this with the ▶ button or Ctrl+Enter.
# Then the other tabs, from left to right:
#
#   Lobby   reads a room and its last messages
#   Join    makes you a member of it
#   Follow  shows live what happens there
#   Say     sends a message
#
# Join gives this browser a cookie. To be
# somebody else, put a token from Join under
# Headers, below. It counts for everything:
#   {"Authorization": "Bearer …"}

query Lobby {
  viewer {
    displayName
    isGuest
  }
  room(slug: ${JSON.stringify(slug)}) {
    id
    name
    description
    access
    cursor
    viewerMember {
      displayName
      role
    }
    messages(last: 10) {
      edges {
        cursor
        node {
          sequence
          author {
            displayName
          }
          text
          sentAt
        }
      }
    }
  }
}
`;

const join = (slug: string) => `# Without an account you become a guest.
# Joining again changes your display name
# and nothing more.

mutation Join {
  joinRoom(
    input: {
      slug: ${JSON.stringify(slug)}
      displayName: "GraphiQL"
    }
  ) {
    member {
      id
      displayName
      isGuest
    }
    room {
      id
    }
    token
  }
}
`;

const FOLLOW = `# Run it, then send from another window or
# from ${basePath}entrar/. Each event replaces the last.
#
# Without \`after\`: from now on. With a cursor:
# everything after it, then what comes.

subscription Follow($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) {
    cursor
    sequence
    kind
    message {
      id
      author {
        displayName
      }
      text
    }
  }
}
`;

const SAY = `# Run Join first.

mutation Say($roomId: ID!, $text: String!) {
  sendMessage(
    input: {
      roomId: $roomId
      text: $text
      # The same key again is the same message:
      # idempotencyKey: "my-first"
    }
  ) {
    message {
      id
      sequence
      text
    }
    cursor
  }
}
`;
