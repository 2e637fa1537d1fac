/** What the pages of this site ask for: a server that runs listed documents only runs these as well. */

import { createHash } from 'node:crypto';

import { stringifyDocument } from 'urql';

import { EXAMPLE_ROOM } from './src/graphiql/examples';
import * as page from './src/page/documents';

/** Documents as they are sent, by their SHA-256: a list as `TRUSTED_DOCUMENTS` has it. */
export function ownDocuments(): Record<string, string> {
  const texts = [...Object.values(page).map((document) => stringifyDocument(document)), EXAMPLE_ROOM];
  return Object.fromEntries(texts.map((text) => [createHash('sha256').update(text).digest('hex'), text]));
}
