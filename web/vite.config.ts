import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// Addresses are relative: the process writes the path below which it is served into each answer's <base>.
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [react()],
  build: {
    target: 'es2023',
    emptyOutDir: true,
    // no data: addresses, which the policy on scripts and fonts would refuse
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // bench:web says what is too large
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: {
      output: {
        // all that only editors need, of queries and of rules, comes with the first of them
        codeSplitting: {
          groups: [{ name: 'editor-base', test: /node_modules[\\/](@codemirror|@lezer|@prometheus-io)[\\/]/ }],
        },
      },
    },
  },
  worker: { format: 'es' },
});
