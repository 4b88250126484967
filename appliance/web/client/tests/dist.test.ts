// The built pages: nothing from the internet, nothing that a strict Content-Security-Policy refuses.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';

const outDir = mkdtempSync(join(tmpdir(), 'client-dist-'));
let files: { name: string; text: string }[] = [];

beforeAll(async () => {
  await build({ root: join(import.meta.dirname, '..'), logLevel: 'silent', build: { outDir, emptyOutDir: true } });
  files = readdirSync(outDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(js|css|html|svg)$/.test(name))
    .map((name) => ({ name, text: readFileSync(join(outDir, name), 'utf8') }));
}, 120_000);

afterAll(() => rmSync(outDir, { recursive: true, force: true }));

/** Addresses that are names of things or words in messages; none of them is ever fetched. */
const NAMES = [
  // XML namespaces.
  'http://www.w3.org/',
  // Where Svelte's messages are explained.
  'https://svelte.dev/e/',
  // The name of an RTP header extension.
  'https://aomediacodec.github.io/av1-rtp-spec/',
];

test('no address of the internet is in the pages, but for known names', () => {
  const found = files.flatMap(({ text }) => text.match(/https?:\/\/[A-Za-z0-9.-]+/g) ?? []);
  expect([...new Set(found)].filter((address) => !NAMES.some((name) => name.startsWith(address)))).toEqual([]);
});

test('what is compressed beside a file is that file', () => {
  const scripts = files.filter(({ name }) => name.endsWith('.js'));
  for (const { name, text } of scripts) {
    expect(gunzipSync(readFileSync(join(outDir, `${name}.gz`))).toString()).toBe(text);
    expect(brotliDecompressSync(readFileSync(join(outDir, `${name}.br`))).toString()).toBe(text);
  }
  expect(scripts).not.toHaveLength(0);
});

test('nothing is evaluated from text', () => {
  const evaluated = files.filter(({ name, text }) => name.endsWith('.js') && /\beval\(|new Function\(/.test(text));
  expect(evaluated.map(({ name }) => name)).toEqual([]);
});

test('the page has no script, style or handler of its own', () => {
  const page = files.find(({ name }) => name === 'index.html')?.text ?? '';
  expect(page).toContain('<script type="module"');
  expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)/);
});

test('the page of today does not load the media library', () => {
  const entry = files.find(({ name }) => /index-[^/]*\.js$/.test(name));
  expect(entry?.text).not.toContain('RTCPeerConnection');
});
