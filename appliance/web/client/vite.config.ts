import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// The design tokens belong to the admin pages, so that both faces of the product are one design.
// The Rust build runs Vite from a copy of this folder and says where they are.
const tokens =
  process.env.BELFRY_TOKENS ??
  fileURLToPath(new URL('../../../admin-ui/static/tokens.css', import.meta.url));
if (!existsSync(tokens)) {
  throw new Error(`design tokens not found at ${tokens}; set BELFRY_TOKENS to tokens.css of admin-ui`);
}

/** Below this a compressed file is no gain. */
const COMPRESS_BYTES_MIN = 1024;

/** Puts a .br and a .gz beside each script and style; the server hands them out as they are. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    // From the written files: the last names of the pieces are filled in after the bundle is made.
    writeBundle({ dir }, bundle) {
      if (!dir) return;
      for (const { fileName } of Object.values(bundle)) {
        const file = join(dir, fileName);
        const content = readFileSync(file);
        if (!/\.(js|css|svg)$/.test(fileName) || content.length < COMPRESS_BYTES_MIN) continue;
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
        writeFileSync(`${file}.br`, brotliCompressSync(content, { params }));
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), compressed()],
  resolve: { alias: { '@tokens': tokens } },
  build: {
    target: 'es2022',
    // A data: address would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // livekit-client is one piece of about 520 KB; only the lesson page loads it.
    chunkSizeWarningLimit: 900,
  },
  test: { include: ['tests/**/*.test.ts', 'src/**/*.test.ts'], environment: 'node' },
});
