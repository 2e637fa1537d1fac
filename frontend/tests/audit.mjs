// Prints the result of each audit of GraphQL over HTTP (npm graphql-http) against $SALAS_URL, as a line of JSON.

import { auditServer } from 'graphql-http';

for (const { id, name, status, reason } of await auditServer({ url: process.env.SALAS_URL })) {
  console.log(JSON.stringify({ id, name, status, reason }));
}
