/**
 * Who this page is to the server: known by the session cookie, and by a token only where the browser keeps no cookies.
 *
 * The token is held in memory, and in this tab's storage where that is allowed, so that a reload stays the same guest.
 */

import { attempt } from '../attempt';
import { storageKey } from '../base';

const KEY = storageKey('token');

let token = attempt(() => sessionStorage.getItem(KEY)) ?? null;

/** Headers of a request, and `connectionParams` of a socket. */
export const credentials = (): Record<string, string> => (token === null ? {} : { authorization: `Bearer ${token}` });

export function keepToken(given: string): void {
  token = given;
  attempt(() => sessionStorage.setItem(KEY, given));
}

/** The server does not take it any more. */
export function forgetToken(): void {
  token = null;
  attempt(() => sessionStorage.removeItem(KEY));
}
