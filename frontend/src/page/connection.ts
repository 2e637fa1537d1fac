import { useSyncExternalStore } from 'react';

export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'reconnecting';

export interface Connection {
  state: ConnectionState;
  /** Why it was lost or does not open, where that is known; null when all is well. */
  trouble: string | null;
}

let current: Connection = { state: 'idle', trouble: null };
const listeners = new Set<() => void>();

/** How the page's one socket is doing. */
export const connection = {
  get: () => current,
  /** A new try keeps the trouble of the one before until it goes well. */
  set(state: ConnectionState, trouble = state === 'reconnecting' ? current.trouble : null): void {
    current = { state, trouble };
    for (const changed of listeners) changed();
  },
  subscribe(changed: () => void): () => void {
    listeners.add(changed);
    return () => listeners.delete(changed);
  },
};

export const useConnection = (): Connection => useSyncExternalStore(connection.subscribe, connection.get);
