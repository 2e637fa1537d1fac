// Follows a room with one of the npm clients as it comes, and prints each sequence. It gives up when the client does.
//   SALAS_URL, TOKEN, ROOM_ID, AFTER, UNTIL (the last sequence) and the client's name as the only argument
import { ApolloClient, ApolloLink, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, gql as urqlGql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';

const { SALAS_URL, TOKEN, ROOM_ID, AFTER, UNTIL } = process.env;
const document = 'subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence } }';
const variables = { roomId: ROOM_ID, after: AFTER };

const socket = createClient({
  url: SALAS_URL.replace(/^http/, 'ws'),
  connectionParams: { authorization: `Bearer ${TOKEN}` },
  on: { connected: () => console.log('connected') },
});

function heard({ sequence }) {
  console.log(sequence);
  if (sequence === Number(UNTIL)) process.exit(0);
}

function gaveUp(reason) {
  console.error('gave up', reason);
  process.exit(1);
}

const follow = {
  'graphql-ws': () =>
    socket.subscribe({ query: document, variables }, {
      next: ({ data }) => heard(data.messages),
      error: gaveUp,
      complete: () => gaveUp('complete'),
    }),
  apollo: () =>
    new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.from([new GraphQLWsLink(socket)]) })
      .subscribe({ query: gql(document), variables, fetchPolicy: 'no-cache' })
      .subscribe({ next: ({ data, error }) => (error ? gaveUp(error) : heard(data.messages)), complete: () => gaveUp('complete') }),
  urql: () => {
    const forwardSubscription = (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }) });
    const client = new Client({ url: SALAS_URL, exchanges: [subscriptionExchange({ forwardSubscription })] });
    client.subscription(urqlGql(document), variables).subscribe(({ data, error }) => {
      if (error) gaveUp(error);
      heard(data.messages);
    });
  },
};

follow[process.argv[2]]();
