import { expect, test } from 'vitest';

import { newIdempotencyKey } from './idempotencyKey';

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const insecureOrigin = {
  getRandomValues: (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes),
} as unknown as Crypto;

test('a key is a random UUID', () => {
  expect(newIdempotencyKey()).toMatch(uuid4);
});

test('a key is a random UUID where randomUUID is missing', () => {
  const keys = Array.from({ length: 200 }, () => newIdempotencyKey(insecureOrigin));
  expect(new Set(keys).size).toBe(200);
  for (const key of keys) expect(key).toMatch(uuid4);
});
