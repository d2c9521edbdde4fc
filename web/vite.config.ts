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
  },
  worker: { format: 'es' },
});
