// Follows with clients from npm, once for each end that a server may make of a socket, and prints a JSON object when one
// gives up: its `client` and the `end`. Who comes back is for the server to see.
//   SALAS_URL: the client's name and the end are added to its path; CLIENTS, ENDS: JSON arrays of these
import { createClient } from 'graphql-ws';
import { follow } from './clients.mjs';

const { SALAS_URL, CLIENTS, ENDS } = process.env;
const document = 'subscription { messages(roomId: "1") { sequence } }';
const recommended = { retryAttempts: Infinity, shouldRetry: () => true, retryWait: () => Promise.resolve() };

for (const client of JSON.parse(CLIENTS))
  for (const end of JSON.parse(ENDS)) {
    const url = `${SALAS_URL.replace(/^http/, 'ws')}${client}/${end}`;
    const socket = createClient({ url, ...(client === 'recommended' ? recommended : {}) });
    const gaveUp = () => console.log(JSON.stringify({ client, end }));
    follow[client === 'recommended' ? 'graphql-ws' : client](socket, document, {}, () => {}, gaveUp);
  }
