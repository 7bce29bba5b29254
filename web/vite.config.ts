import { defineConfig } from 'vite';

/** The page is built from here into web/dist; in development its API is the scripted one of web/dev, or a run named by SIGHTLINE_API. */
export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2023', sourcemap: false, reportCompressedSize: true },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: process.env['SIGHTLINE_API'] ?? 'http://127.0.0.1:5199', ws: true } },
  },
});
