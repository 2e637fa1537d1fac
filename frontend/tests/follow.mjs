// Follows a room with one of the npm clients as it comes, and gives up when the client does. Each line that it prints is
// a JSON object, whose `type` is connected, confirmed (a receipt was signed), closed (with a code) or heard.
//   SALAS_URL, TOKEN, ROOM_ID, AFTER, UNTIL (the last sequence, if any) and the client's name as the only argument
//   STUBBORN: with the options that docs/guarantees.md recommends, under which it never gives up
import { createClient } from 'graphql-ws';
import { follow } from './clients.mjs';

const { SALAS_URL, TOKEN, ROOM_ID, AFTER, UNTIL, STUBBORN } = process.env;
const document = `subscription ($roomId: ID!, $after: String) {
  messages(roomId: $roomId, after: $after) { sequence cursor message { text idempotencyKey } }
}`;
const variables = { roomId: ROOM_ID, after: AFTER };

const retryWait = () => new Promise((go) => setTimeout(go, 300 + 700 * Math.random()));
const options = STUBBORN ? { retryAttempts: Infinity, shouldRetry: () => true, retryWait } : {};
const socket = createClient({
  ...options,
  url: SALAS_URL.replace(/^http/, 'ws'),
  connectionParams: { authorization: `Bearer ${TOKEN}` },
  on: {
    connected: () => print({ type: 'connected' }),
    pong: (received) => received || print({ type: 'confirmed' }),
    closed: ({ code }) => print({ type: 'closed', code }),
  },
});

function print(line) {
  console.log(JSON.stringify(line));
}

function heard({ sequence, message }) {
  print({ type: 'heard', sequence, key: message.idempotencyKey, text: message.text });
  if (sequence === Number(UNTIL)) process.exit(0);
}

function gaveUp(reason) {
  console.error('gave up', reason);
  process.exit(1);
}

follow[process.argv[2]](socket, document, variables, heard, gaveUp);
