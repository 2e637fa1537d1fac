/** What a browser remembers for this page. Storage may be full or forbidden: then it remembers nothing. */

import { attempt } from '../attempt';
import { storageKey } from '../base';
import type { UnsentMessage } from './log';

const DISPLAY_NAME = storageKey('displayName');
const unsentKey = (roomId: string) => storageKey(`unsent:${roomId}`);

export const rememberedDisplayName = (): string => attempt(() => localStorage.getItem(DISPLAY_NAME)) ?? '';

export const rememberDisplayName = (displayName: string): void =>
  void attempt(() => localStorage.setItem(DISPLAY_NAME, displayName));

/** Keep what was not sent over a reload of this tab; with its key, so that a retry cannot double it. */
export function rememberUnsent(roomId: string, unsent: readonly UnsentMessage[]): void {
  attempt(() =>
    unsent.length > 0
      ? sessionStorage.setItem(unsentKey(roomId), JSON.stringify(unsent))
      : sessionStorage.removeItem(unsentKey(roomId)),
  );
}

export function rememberedUnsent(roomId: string): UnsentMessage[] {
  const stored = attempt(() => JSON.parse(sessionStorage.getItem(unsentKey(roomId)) ?? '[]'));
  const unsent: UnsentMessage[] = Array.isArray(stored) ? stored : [];
  return unsent.map((it) => ({ ...it, refusal: it.refusal ?? 'A página foi recarregada antes da resposta.' }));
}
