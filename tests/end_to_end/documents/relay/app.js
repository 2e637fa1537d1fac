import { graphql } from 'relay-runtime';

export const lobby = graphql`
  query appLobbyQuery($slug: String!) {
    room(slug: $slug) {
      ...app_room
    }
  }
`;

export const room = graphql`
  fragment app_room on Room {
    id
    name
  }
`;
