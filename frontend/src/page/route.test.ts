import { expect, test } from 'vitest';

import { entrarPath, routeOf, salaPath } from './route';

const routeAt = (path: string) => routeOf(new URL(path, 'http://salas.test'));

test.each(['lobby', 'café-às-5', 'a b&c'])('the paths of %s lead back to it', (slug) => {
  expect(routeAt(salaPath(slug))).toEqual({ page: 'sala', slug });
  expect(routeAt(entrarPath(slug))).toEqual({ page: 'entrar', slug });
});

test('without a room one enters', () => {
  expect(routeAt('/entrar/')).toEqual({ page: 'entrar', slug: '' });
});
