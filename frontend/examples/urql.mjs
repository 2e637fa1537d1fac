import { Client, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';

const url = process.env.SALAS_URL ?? 'http://127.0.0.1:8000/graphql/';
let authorization;

const socket = createClient({
  url: url.replace(/^http/, 'ws'),
  connectionParams: () => ({ authorization }),
  retryAttempts: Infinity,
  retryWait: (retries) => new Promise((go) => setTimeout(go, Math.min(500 * 2 ** retries, 10_000))),
  shouldRetry: () => true,
  keepAlive: 12_000,
});
const overSocket = subscriptionExchange({
  forwardSubscription: (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }) }),
});
const fetchOptions = () => ({ headers: { ...(authorization && { authorization }) } });
const client = new Client({ url, exchanges: [fetchExchange, overSocket], preferGetMethod: false, fetchOptions });

async function dataOf(operation) {
  const { data, error } = await operation;
  return error ? Promise.reject(error) : data;
}

const join = gql`mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token } }`;
const { joinRoom } = await dataOf(client.mutation(join, { input: { slug: 'lobby', displayName: 'urql' } }));
authorization = `Bearer ${joinRoom.token}`;
const { room } = await dataOf(client.query(gql`{ room(slug: "lobby") { id name cursor } }`, {}));

const idempotencyKey = crypto.randomUUID(); // The same key again is the same message: safe to retry.
const follow = gql`subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence message { text idempotencyKey } }
}`;
const heard = new Promise((resolve, reject) => {
  const events = client.subscription(follow, { roomId: room.id, after: room.cursor });
  const { unsubscribe } = events.subscribe(({ data, error }) => {
    if (error) return reject(error);
    console.log(JSON.stringify({ sequence: data.messages.sequence, text: data.messages.message.text }));
    if (data.messages.message.idempotencyKey === idempotencyKey) resolve(unsubscribe());
  });
});
const send = gql`mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor } }`;
await dataOf(client.mutation(send, { input: { roomId: room.id, text: 'Hello!', idempotencyKey } }));
await heard;
