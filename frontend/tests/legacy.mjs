// Offers the subprotocols given as arguments, with the WebSocket of `ws` and, where there is one, Node's own, which is a
// browser's. Each line that it prints is a JSON object: what each sees of the close.
import WebSocket from 'ws';

const { SALAS_URL } = process.env;
const kinds = { ws: WebSocket, native: globalThis.WebSocket };

for (const [kind, Kind] of Object.entries(kinds)) {
  if (!Kind) continue;
  const socket = new Kind(SALAS_URL.replace(/^http/, 'ws'), process.argv.slice(2));
  socket.addEventListener('error', () => {});
  await new Promise((go) =>
    socket.addEventListener('close', ({ code, reason }) => go(console.log(JSON.stringify({ kind, code, reason })))),
  );
}
