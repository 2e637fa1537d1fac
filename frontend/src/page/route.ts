import { useSyncExternalStore } from 'react';

import { basePath } from '../base';

export type Route = { page: 'entrar'; slug: string } | { page: 'sala'; slug: string };

/** The page's addresses below `base`, which ends in a slash. */
export function routesUnder(base: string) {
  const entrarPath = (slug = '') => `${base}entrar/${slug && `?${new URLSearchParams({ sala: slug })}`}`;
  const salaPath = (slug: string) => `${base}salas/${encodeURIComponent(slug)}/`;

  function routeOf({ pathname, searchParams }: URL): Route {
    const below = pathname.startsWith(base) ? pathname.slice(base.length) : '';
    const slug = /^salas\/([^/]+)\/?$/.exec(below)?.[1];
    if (slug !== undefined) return { page: 'sala', slug: decoded(slug) };
    return { page: 'entrar', slug: searchParams.get('sala') ?? '' };
  }

  return { entrarPath, salaPath, routeOf };
}

export const { entrarPath, salaPath, routeOf } = routesUnder(basePath);

/** What is no UTF-8 behind its percent signs stays as it is: there is no such room. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** `reason` is why one is sent there, for the page there to say. */
export function navigate(path: string, { replace = false, reason = null as string | null } = {}): void {
  history[replace ? 'replaceState' : 'pushState']({ reason }, '', path);
  dispatchEvent(new PopStateEvent('popstate'));
}

export function reasonOfArrival(): string | null {
  const reason: unknown = (history.state as { reason?: unknown } | null)?.reason;
  return typeof reason === 'string' ? reason : null;
}

export function useRoute(): Route {
  const href = useSyncExternalStore(onNavigation, () => location.href);
  return routeOf(new URL(href));
}

function onNavigation(changed: () => void): () => void {
  addEventListener('popstate', changed);
  return () => removeEventListener('popstate', changed);
}
