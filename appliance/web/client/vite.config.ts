import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The design tokens belong to the admin pages, so that both faces of the product are one design.
// The Rust build runs Vite from a copy of this folder and says where they are.
const tokens =
  process.env.BELFRY_TOKENS ??
  fileURLToPath(new URL('../../../admin-ui/static/tokens.css', import.meta.url));
if (!existsSync(tokens)) {
  throw new Error(`design tokens not found at ${tokens}; set BELFRY_TOKENS to tokens.css of admin-ui`);
}

export default defineConfig({
  plugins: [svelte()],
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
