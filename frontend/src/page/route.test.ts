import { describe, expect, test } from 'vitest';

import { routesUnder } from './route';

describe.each(['/', '/chat/', '/a/b/'])('under %s', (base) => {
  const { entrarPath, salaPath, routeOf } = routesUnder(base);
  const routeAt = (path: string) => routeOf(new URL(path, 'http://salas.test'));

  test.each(['lobby', 'café-às-5', 'a b&c', 'salas'])('the paths of %s lead back to it', (slug) => {
    expect(routeAt(salaPath(slug))).toEqual({ page: 'sala', slug });
    expect(routeAt(entrarPath(slug))).toEqual({ page: 'entrar', slug });
  });

  test('they begin with it', () => {
    expect([entrarPath(), entrarPath('a'), salaPath('a')]).toEqual(['entrar/', 'entrar/?sala=a', 'salas/a/'].map((it) => base + it));
  });

  test.each(['entrar/', 'salas/', ''])('at %s one enters', (path) => {
    expect(routeAt(base + path)).toEqual({ page: 'entrar', slug: '' });
  });

  test('what is no UTF-8 is a room that is not there, and no broken page', () => {
    expect(routeAt(`${base}salas/%E0%A4%A/`)).toEqual({ page: 'sala', slug: '%E0%A4%A' });
  });
});
