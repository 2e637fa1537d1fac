/** After entering: the server must know this browser again, or each try would make one guest more. */

import { MembershipDocument } from './documents';
import { keepToken } from './identity';
import { client } from './transport';

const ONLY_HERE =
  'Este navegador não aceita cookies desta página: você continua nesta sala só nesta aba. Para voltar depois, permita cookies.';
const NOT_KNOWN =
  'O servidor aceitou a entrada, mas este navegador não guarda quem você é. Permita cookies desta página e tente de novo.';

export interface Known {
  isKnown: boolean;
  /** What to tell; null where all is as usual. */
  reason: string | null;
}

/** See whether the cookie was kept, and where it was not, go on with the token, for requests and sockets alike. */
export async function becomeKnown(entered: { room: { slug: string }; token: string | null }): Promise<Known> {
  if (await isMember(entered.room.slug)) return { isKnown: true, reason: null };
  if (entered.token === null) return { isKnown: false, reason: NOT_KNOWN };
  keepToken(entered.token);
  return (await isMember(entered.room.slug)) ? { isKnown: true, reason: ONLY_HERE } : { isKnown: false, reason: NOT_KNOWN };
}

async function isMember(slug: string): Promise<boolean> {
  const { data } = await client.query(MembershipDocument, { slug }).toPromise();
  return Boolean(data?.room?.viewerMember);
}
