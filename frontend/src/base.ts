/** Where this installation is served: `/`, or a prefix such as `/chat/`. The server's templates say so. */
export const basePath: string = globalThis.document?.documentElement.dataset['base'] ?? '/';

export const graphqlPath = `${basePath}graphql/`;
export const graphqlSocketUrl = (): string => new URL(graphqlPath, location.href.replace(/^http/, 'ws')).href;

/** Storage is shared by a whole origin: under a prefix each name carries it, so that two installations keep apart. */
export const storageKey = (name: string, base = basePath): string => `salas:${base === '/' ? '' : base}${name}`;
