/** What the page says, in Portuguese, when something was refused or did not arrive. */

import type { CombinedError } from 'urql';

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
  slug: 'Confira o endereço da sala.',
  text: 'A mensagem precisa ter de 1 a 4.000 caracteres e não pode ser só espaços.',
};

const CODES: Record<string, string> = {
  UNAUTHENTICATED: 'Entre na sala de novo para continuar.',
  FORBIDDEN: 'Você não tem permissão para isso.',
  NOT_FOUND: 'Isso não existe mais, ou não está ao seu alcance.',
  WRONG_PASSWORD: 'Sala ou senha errada',
  ROOM_ARCHIVED: 'Esta sala está arquivada: dá para ler, mas não para escrever.',
  QUERY_TOO_COMPLEX: 'O pedido é grande demais para o servidor.',
  INTERNAL_SERVER_ERROR: 'O servidor teve um problema. Tente de novo daqui a pouco.',
};

export function extensionsOf(error: CombinedError): Extensions {
  return (error.graphQLErrors[0]?.extensions ?? {}) as Extensions;
}

export function refusalText(error: CombinedError): string {
  if (error.networkError) return 'O servidor não respondeu. Verifique a conexão e tente de novo.';
  const { code = '', field = '', retryAfter, mutedUntil, isBanned } = extensionsOf(error);
  if (isBanned) return BANNED;
  if (mutedUntil) return `Você está em silêncio nesta sala até ${DAY_AND_TIME.format(new Date(mutedUntil))}.`;
  if (code === 'RATE_LIMITED') return `Rápido demais. Tente de novo em ${Math.ceil(retryAfter ?? 1)} s.`;
  if (code === 'BAD_USER_INPUT') return FIELDS[field] ?? 'O servidor não aceitou o que foi escrito.';
  return CODES[code] ?? 'Não deu certo. Tente de novo.';
}

/** Why the room was lost; null for what passes. */
export function lossText(error: CombinedError | undefined): string | null {
  if (!error || error.networkError) return null;
  const { code = '', isBanned } = extensionsOf(error);
  return isBanned ? BANNED : (LOSSES[code] ?? null);
}

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
