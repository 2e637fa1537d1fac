// The npm clients as they come, each following a room over `socket`, a client of graphql-ws. `heard` is called with each
// event, `gaveUp` when the client does, whether it calls that an error or the end.
import { ApolloClient, ApolloLink, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, gql as urqlGql, subscriptionExchange } from '@urql/core';

export const follow = {
  'graphql-ws': (socket, document, variables, heard, gaveUp) =>
    socket.subscribe({ query: document, variables }, sinkOf(heard, gaveUp)),

  resumable: async (socket, document, variables, heard, gaveUp) => {
    const { runnerImport } = await import('vite'); // Node before 22 reads no TypeScript
    const { module } = await runnerImport('./src/resumable.ts');
    module.resumable(socket)({ query: document, variables }, sinkOf(heard, gaveUp));
  },

  apollo: (socket, document, variables, heard, gaveUp) =>
    new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.from([new GraphQLWsLink(socket)]) })
      .subscribe({ query: gql(document), variables, fetchPolicy: 'no-cache' })
      .subscribe({
        next: ({ data, error }) => (error ? gaveUp(error) : heard(data.messages)),
        complete: () => gaveUp('complete'),
      }),

  urql: (socket, document, variables, heard, gaveUp) => {
    const forwardSubscription = (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }) });
    const client = new Client({ url: 'http://unused', exchanges: [subscriptionExchange({ forwardSubscription })] });
    client.subscription(urqlGql(document), variables).subscribe(({ data, error }) => {
      if (error) gaveUp(error);
      else heard(data.messages);
    });
  },
};

function sinkOf(heard, gaveUp) {
  return { next: ({ data }) => heard(data.messages), error: gaveUp, complete: () => gaveUp('complete') };
}
