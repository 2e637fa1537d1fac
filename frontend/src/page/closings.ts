/** What the page says, in Portuguese, when its socket is closed or does not open, and what there is to do about it. */

const RELOAD = 'O servidor não entendeu esta página, talvez por ela ser de uma versão antiga. Recarregue a página.';

/** By the code that a socket closes with: those of the server (docs/guarantees.md), then those of others. */
const CLOSINGS: Record<number, string> = {
  1009: 'O que esta página enviou é grande demais para o servidor. Recarregue a página.',
  1012: 'O servidor está reiniciando.',
  1013: 'O servidor teve um problema.',
  4400: RELOAD,
  4401: RELOAD,
  4403: 'O servidor não reconhece mais quem você é. Se isto não passar, entre na sala de novo.',
  4406: RELOAD,
  4408: 'A conexão demorou demais para começar.',
  4409: RELOAD,
  4429: RELOAD,
  4503: 'O servidor teve um problema passageiro.',
  4504: 'A conexão estava parada e foi encerrada.',
  4505: 'Você tem conversas demais abertas, em abas ou aparelhos. Feche uma delas: esta continua sozinha.',
  4506: 'Esta página pediu demais de uma vez. Ela tenta de novo daqui a pouco.',
  1001: 'O servidor encerrou a conexão.',
  1002: RELOAD,
  1003: RELOAD,
  1005: 'A conexão foi encerrada.',
  1007: RELOAD,
  1008: 'Algo no caminho até o servidor não permite a conversa ao vivo. Tente em outra rede.',
  1011: 'O servidor teve um problema.',
  1014: 'O servidor está fora do ar.',
  1015: 'A conexão segura com o servidor falhou. Verifique a data e a hora deste aparelho.',
  4004: RELOAD,
  4005: RELOAD,
  4499: 'A rede não responde.',
  4500: 'O servidor teve um problema.',
};

/** The server, or its address, is at its limit: it says so where it can't refuse the handshake. */
const FULL = 'Há conexões demais abertas no servidor ou a partir desta rede. Feche outras abas ou espere um pouco.';

/**
 * A handshake that is refused (403, 429, 503), or held up on its way, shows no reason to a page: browsers keep it to
 * themselves. So this names them all.
 */
export const NO_HANDSHAKE =
  'A conversa ao vivo não abre: o servidor está fora do ar ou cheio, há conexões demais a partir desta rede (feche outras ' +
  'abas), ou a rede bloqueia WebSockets (tente em outra).';

const ABNORMAL = 1006;
const PATIENCE = 2;

/** A socket that was closed for good, as far as the client of graphql-transport-ws is concerned. */
export class ConnectionClosed extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
  ) {
    super(`The socket was closed with ${code} ${reason}`.trim());
  }
}

/** `failures` counts the tries since the last one that went well; null where there is nothing to say but to wait. */
export function closingText(code: number, reason = '', failures = 1): string | null {
  if (code === ABNORMAL) return failures >= PATIENCE ? NO_HANDSHAKE : null;
  if (code === 4505 && reason.startsWith('Too many sockets')) return FULL;
  return CLOSINGS[code] ?? `O servidor fechou a conexão (${[code, reason].join(' ').trim()}). Se isto não passar, recarregue a página.`;
}

/** Whether the page has words of its own for it. */
export const isKnownClosing = (code: number): boolean => code in CLOSINGS || code === ABNORMAL;
