import { useSyncExternalStore } from 'react';

export type Route = { page: 'entrar'; slug: string } | { page: 'sala'; slug: string };

export const entrarPath = (slug = '') => (slug ? `/entrar/?${new URLSearchParams({ sala: slug })}` : '/entrar/');
export const salaPath = (slug: string) => `/salas/${encodeURIComponent(slug)}/`;

export function routeOf({ pathname, searchParams }: URL): Route {
  const slug = /^\/salas\/([^/]+)\/?$/.exec(pathname)?.[1];
  if (slug !== undefined) return { page: 'sala', slug: decodeURIComponent(slug) };
  return { page: 'entrar', slug: searchParams.get('sala') ?? '' };
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
