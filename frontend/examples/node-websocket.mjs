// Node before 22 has no WebSocket: node --import ./node-websocket.mjs graphql-ws.mjs
import WebSocket from 'ws';

globalThis.WebSocket ??= WebSocket;
