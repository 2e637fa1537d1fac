import { useSyncExternalStore } from 'react';

export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'reconnecting';

let state: ConnectionState = 'idle';
const listeners = new Set<() => void>();

/** How the page's one socket is doing. */
export const connection = {
  get: () => state,
  set(next: ConnectionState): void {
    state = next;
    for (const changed of listeners) changed();
  },
  subscribe(changed: () => void): () => void {
    listeners.add(changed);
    return () => listeners.delete(changed);
  },
};

export const useConnection = (): ConnectionState => useSyncExternalStore(connection.subscribe, connection.get);
