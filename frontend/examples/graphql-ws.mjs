import { createClient } from 'graphql-ws';

const url = process.env.SALAS_URL ?? 'http://127.0.0.1:8000/graphql/';

async function request(query, variables, headers = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

const join = 'mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token } }';
const { joinRoom } = await request(join, { input: { slug: 'lobby', displayName: 'graphql-ws' } });
const authorization = `Bearer ${joinRoom.token}`;
const { room } = await request('{ room(slug: "lobby") { id name cursor } }', {}, { authorization });

const client = createClient({
  url: url.replace(/^http/, 'ws'),
  connectionParams: { authorization },
  retryAttempts: Infinity,
  retryWait: (retries) => new Promise((go) => setTimeout(go, Math.min(500 * 2 ** retries, 10_000))),
  shouldRetry: () => true,
  keepAlive: 12_000,
});
const follow = `subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence message { text idempotencyKey } }
}`;
const idempotencyKey = crypto.randomUUID(); // The same key again is the same message: safe to retry.
const heard = new Promise((complete, reject) => {
  const error = (reason) => reject(new Error('Subscription refused', { cause: reason }));
  const next = ({ data }) => {
    const { sequence, message } = data.messages;
    console.log(JSON.stringify({ sequence, text: message.text }));
    if (message.idempotencyKey === idempotencyKey) stop();
  };
  const variables = { roomId: room.id, after: room.cursor };
  const stop = client.subscribe({ query: follow, variables }, { next, error, complete });
});

const send = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor } }';
await request(send, { input: { roomId: room.id, text: 'Hello!', idempotencyKey } }, { authorization });
await heard;
