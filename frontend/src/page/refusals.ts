/** What the page says, in Portuguese, when something was refused or did not arrive. */

import type { CombinedError } from 'urql';

import { closingText, ConnectionClosed } from './closings';

type Extensions = { code?: string; field?: string; retryAfter?: number; mutedUntil?: string; isBanned?: boolean };

const DAY_AND_TIME = new Intl.DateTimeFormat('pt-BR', { dateStyle: 'short', timeStyle: 'short' });
const BANNED = 'Você foi banido desta sala.';

/** Ends of a subscription after which the room is not followed any more, however often one tries. */
const LOSSES: Record<string, string> = {
  UNAUTHENTICATED: 'Entre na sala de novo para continuar.',
  FORBIDDEN: 'Você não participa mais desta sala.',
  NOT_FOUND: 'Esta sala não existe mais, ou não está ao seu alcance.',
  ROOM_ARCHIVED: 'Esta sala foi arquivada.',
};

const FIELDS: Record<string, string> = {
  displayName: 'O nome precisa ter de 1 a 40 caracteres.',
  password: 'Confira a senha.',
  search: 'A busca é longa demais.',
  slug: 'Confira o endereço da sala.',
  text: 'A mensagem precisa ter de 1 a 4.000 caracteres e não pode ser só espaços.',
};

const OUTDATED = 'O servidor não conhece mais o que esta página pede. Recarregue a página.';

const CODES: Record<string, string> = {
  BAD_USER_INPUT: 'O servidor não aceitou o que foi escrito.',
  UNAUTHENTICATED: 'Entre na sala de novo para continuar.',
  FORBIDDEN: 'Você não tem permissão para isso.',
  NOT_FOUND: 'Isso não existe mais, ou não está ao seu alcance.',
  WRONG_PASSWORD: 'Sala ou senha errada',
  ROOM_ARCHIVED: 'Esta sala está arquivada: dá para ler, mas não para escrever.',
  CURSOR_INVALID: 'A conversa mudou no servidor. Recarregue a página para lê-la de novo.',
  CURSOR_AHEAD: 'A conversa mudou no servidor. Recarregue a página para lê-la de novo.',
  QUERY_TOO_COMPLEX: 'O pedido é grande demais para o servidor. Recarregue a página; se não passar, avise quem cuida dela.',
  OPERATION_TIMEOUT: 'O servidor demorou demais, e talvez tenha feito o que foi pedido. Confira e tente de novo.',
  DOCUMENT_NOT_TRUSTED: OUTDATED,
  PERSISTED_QUERY_NOT_SUPPORTED: OUTDATED,
  REFUSED_BY_PROXY: 'O pedido não chegou ao servidor: ele está fora do ar, ou foram pedidos demais. Espere um pouco e tente de novo.',
  INTERNAL_SERVER_ERROR: 'O servidor teve um problema. Tente de novo daqui a pouco.',
};

/** Answers that are not of Salas but of what stands before it, and so not in JSON. */
const STATUSES: Record<number, string> = {
  401: 'O servidor pede uma senha antes de mostrar esta página. Recarregue a página.',
  403: 'O servidor, ou algo no caminho até ele, não permite este pedido.',
  404: 'O servidor não conhece este endereço. Recarregue a página.',
  413: 'O que foi escrito é grande demais para o servidor.',
  429: 'Pedidos demais de uma vez. Espere um pouco e tente de novo.',
};
const DOWN = 'O servidor está fora do ar. Tente de novo daqui a pouco.';
const NO_ANSWER = 'O servidor não respondeu. Verifique a conexão e tente de novo.';

function networkText({ networkError, response }: CombinedError): string {
  if (networkError instanceof ConnectionClosed) return closingText(networkError.code, networkError.reason, Infinity)!;
  const status = (response as Response | undefined)?.status ?? 0;
  return STATUSES[status] ?? (status >= 500 ? DOWN : NO_ANSWER);
}

/** Whether trying again at once is in vain: a page that must be loaded anew, a socket that is refused. */
export const isLasting = (error: CombinedError | undefined): boolean =>
  error?.networkError instanceof ConnectionClosed ||
  ['QUERY_TOO_COMPLEX', 'DOCUMENT_NOT_TRUSTED', 'PERSISTED_QUERY_NOT_SUPPORTED'].includes(error ? (extensionsOf(error).code ?? '') : '');

export function extensionsOf(error: CombinedError): Extensions {
  return (error.graphQLErrors[0]?.extensions ?? {}) as Extensions;
}

export function refusalText(error: CombinedError): string {
  if (error.networkError) return networkText(error);
  const { code = '', field = '', retryAfter, mutedUntil, isBanned } = extensionsOf(error);
  if (isBanned) return BANNED;
  if (mutedUntil) return `Você está em silêncio nesta sala até ${DAY_AND_TIME.format(new Date(mutedUntil))}.`;
  if (code === 'RATE_LIMITED') return `Rápido demais. Tente de novo em ${Math.ceil(retryAfter ?? 1)} s.`;
  return (code === 'BAD_USER_INPUT' && FIELDS[field]) || (CODES[code] ?? 'Não deu certo. Tente de novo.');
}

/** Why the room was lost; null for what passes. */
export function lossText(error: CombinedError | undefined): string | null {
  if (!error || error.networkError) return null;
  const { code = '', isBanned } = extensionsOf(error);
  return isBanned ? BANNED : (LOSSES[code] ?? null);
}

/** Whether the page has words of its own for it. */
export const isKnownCode = (code: string): boolean => code in CODES || code === 'RATE_LIMITED';

export const NO_SUCH_ROOM = 'Esta sala não existe, mudou de endereço ou não está ao seu alcance.';

export function bannedText(error: CombinedError | undefined): string | null {
  return error && extensionsOf(error).isBanned ? BANNED : null;
}

/** Entering tells a missing room and a wrong password with the same words. */
export function joinRefusalText(error: CombinedError): string {
  const { code } = extensionsOf(error);
  if (code === 'NOT_FOUND' || code === 'WRONG_PASSWORD') return 'Sala ou senha errada';
  if (code === 'ROOM_ARCHIVED') return 'Esta sala está arquivada.';
  return refusalText(error);
}
