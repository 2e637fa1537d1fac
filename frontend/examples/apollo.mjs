import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';

const url = process.env.SALAS_URL ?? 'http://127.0.0.1:8000/graphql/';
let authorization;

const http = new HttpLink({ uri: url, fetch: (uri, options) =>
  fetch(uri, { ...options, headers: { ...options.headers, ...(authorization && { authorization }) } }) });
const socket = new GraphQLWsLink(createClient({
  url: url.replace(/^http/, 'ws'),
  connectionParams: () => ({ authorization }),
  retryAttempts: Infinity,
  retryWait: (retries) => new Promise((go) => setTimeout(go, Math.min(500 * 2 ** retries, 10_000))),
  shouldRetry: () => true,
  keepAlive: 12_000,
}));
const isSubscription = ({ operationType }) => operationType === 'subscription';
const client = new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.split(isSubscription, socket, http) });

const join = gql`mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token } }`;
const joined = await client.mutate({ mutation: join, variables: { input: { slug: 'lobby', displayName: 'Apollo' } } });
authorization = `Bearer ${joined.data.joinRoom.token}`;
const { data: { room } } = await client.query({ query: gql`{ room(slug: "lobby") { id name cursor } }` });

const idempotencyKey = crypto.randomUUID(); // The same key again is the same message: safe to retry.
const follow = gql`subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence message { id text idempotencyKey } }
}`;
const heard = new Promise((resolve, reject) => {
  const variables = { roomId: room.id, after: room.cursor };
  const subscription = client.subscribe({ query: follow, variables }).subscribe(({ data, error }) => {
    if (error) return reject(error);
    const { sequence, message } = data.messages;
    console.log(JSON.stringify({ sequence, text: message.text }));
    if (message.idempotencyKey === idempotencyKey) resolve(subscription.unsubscribe());
  });
});

const send = gql`mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor } }`;
await client.mutate({ mutation: send, variables: { input: { roomId: room.id, text: 'Hello!', idempotencyKey } } });
await heard;
