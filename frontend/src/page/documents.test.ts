import { readFileSync } from 'node:fs';

import { stringifyDocument } from 'urql';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';

import { exampleTabs } from '../graphiql/examples';
import * as documents from './documents';

const schema = buildSchema(
  readFileSync(new URL('../../../schema/schema.graphql', import.meta.url), 'utf8'),
);

test.each(Object.entries(documents))('%s is valid against the schema', (_, document) => {
  expect(validate(schema, parse(stringifyDocument(document)))).toEqual([]);
});

test.each(exampleTabs({ id: 'a', slug: 'lobby' }))('GraphiQL example is valid: $query', ({ query }) => {
  expect(validate(schema, parse(query))).toEqual([]);
});
