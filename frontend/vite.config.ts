import { defineConfig, type Plugin, runnerImport } from 'vite';

// Everything lands in dist/salas/, so that no name can meet one of Django admin's under /static/; what has a hash in its
// name lands in salas/assets/, and is cached for ever (config/settings.py). Files name each other relative to
// themselves, so that one build serves below any prefix.
export default defineConfig({
  base: './',
  build: {
    assetsDir: 'salas/assets',
    chunkSizeWarningLimit: 5000,
    manifest: 'manifest.json',
    rolldownOptions: {
      input: ['src/page/main.tsx', 'src/graphiql/main.tsx'],
      // "use client" in GraphiQL's dependencies means nothing to a page without server components.
      onLog: (level, log, warn) => log.code !== 'MODULE_LEVEL_DIRECTIVE' && warn(level, log),
    },
  },
  plugins: [documents()],
  worker: { format: 'es' },
});

/** Writes dist/salas/documents.json: the server trusts them beside whatever list its operator gives. */
function documents(): Plugin {
  return {
    name: 'documents',
    async generateBundle() {
      const { module } = await runnerImport<typeof import('./ownDocuments')>('./ownDocuments.ts');
      const source = JSON.stringify(module.ownDocuments(), null, 2);
      this.emitFile({ type: 'asset', fileName: 'salas/documents.json', source });
    },
  };
}
