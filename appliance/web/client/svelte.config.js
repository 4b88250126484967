import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

export default {
  preprocess: vitePreprocess(),
  // Nodes are made by createElement, not by innerHTML: nothing to allow under Trusted Types.
  compilerOptions: { fragments: 'tree' },
};
