import { createLocalStorage } from '@graphiql/toolkit';

import { attempt } from '../attempt';
import { basePath, storageKey } from '../base';

/**
 * Where GraphiQL keeps its tabs: below a prefix in a place of its own, as all pages of an origin share one storage; null
 * where the browser allows none. GraphiQL's own place otherwise, which is `undefined`.
 */
export function graphiqlStorage(): ReturnType<typeof createLocalStorage> | null | undefined {
  if (attempt(() => localStorage.length) === undefined) return null;
  return basePath === '/' ? undefined : createLocalStorage({ namespace: storageKey('graphiql') });
}
