// Every text comes from the catalogue, every message of the catalogue is used, and nothing asks the internet.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FluentResource } from '@fluent/bundle';
import { parse, type AST } from 'svelte/compiler';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(svelte|ts)$/.test(name))
  .map((name) => ({ name, text: readFileSync(join(root, 'src', name), 'utf8') }));
const catalogue = new FluentResource(readFileSync(join(root, 'locales/en/client.ftl'), 'utf8'));
const keys = new Set(catalogue.body.map((entry) => entry.id));

const READ_OUT = new Set(['aria-label', 'title', 'placeholder', 'alt', 'aria-description', 'aria-roledescription']);
const LETTERS = /\p{L}{2,}/u;

/** Literal words in the markup: text nodes, and attributes that people read or hear. */
function literals(node: unknown, found: string[] = []): string[] {
  if (Array.isArray(node)) {
    for (const one of node) literals(one, found);
    return found;
  }
  if (typeof node !== 'object' || node === null || !('type' in node)) return found;
  const one = node as AST.SvelteNode;
  if (one.type === 'Text' && LETTERS.test(one.data)) found.push(one.data.trim());
  if (one.type === 'Attribute') {
    if (READ_OUT.has(one.name)) literals(one.value, found);
    return found;
  }
  if (one.type === 'StyleDirective' || one.type === 'Comment') return found;
  for (const child of Object.values(one)) literals(child, found);
  return found;
}

test.each(files.filter((file) => file.name.endsWith('.svelte')))('$name has no literal text', ({ text }) => {
  expect(literals(parse(text, { modern: true }).fragment)).toEqual([]);
});

test('a literal text would be found', () => {
  expect(literals(parse('<p title="Bonjour">Hello {name}</p>', { modern: true }).fragment)).toEqual(['Bonjour', 'Hello']);
});

/** Keys as they are written, and patterns for those which end in a value: `t(\`role-${role}\`)`. */
function used(): { exact: Set<string>; patterns: RegExp[] } {
  const exact = new Set<string>();
  const patterns = new Map<string, RegExp>();
  for (const { text } of files) {
    for (const [, key = ''] of text.matchAll(/\bt\(\s*'([^']+)'/g)) exact.add(key);
    for (const [, yes = '', no = ''] of text.matchAll(/\bt\([^()']*(?:\([^()]*\))?[^()']*\? '([^']+)' : '([^']+)'\)/g)) {
      exact.add(yes).add(no);
    }
    for (const [, key = ''] of text.matchAll(/\bt\(\s*`([^`]+)`/g)) {
      patterns.set(key, new RegExp(`^${key.replace(/\$\{[^}]+\}/g, '[A-Za-z_]+')}$`));
    }
  }
  return { exact, patterns: [...patterns.values()] };
}

test('every text that is asked for exists', () => {
  const { exact, patterns } = used();
  expect([...exact].filter((key) => !keys.has(key))).toEqual([]);
  expect(patterns.filter((pattern) => ![...keys].some((key) => pattern.test(key)))).toEqual([]);
});

test('every text of the catalogue is used', () => {
  const { exact, patterns } = used();
  const unused = [...keys].filter((key) => !exact.has(key) && !patterns.some((pattern) => pattern.test(key)));
  expect(unused).toEqual([]);
});

test('each cause, source, role, mode and quality that the wire knows has its text', () => {
  const made = [
    ...['microphone', 'camera'].flatMap((kind) => [
      ...['denied', 'missing', 'busy', 'insecure', 'unknown'].map((trouble) => `trouble-${kind}-${trouble}`),
      ...['locked', 'failed', 'retry', 'banner-new'].map((what) => `${what}-${kind}`),
    ]),
    ...['microphone', 'camera', 'screen_share'].map((source) => `say-muted-${source}`),
    ...['removed', 'ended', 'elsewhere', 'blocked', 'restarting', 'left', 'refused', 'full', 'slow_down', 'malformed'].map((code) => `over-${code}`),
    ...['teacher', 'co_teacher', 'guest'].map((role) => `role-${role}`),
    ...['poor', 'good', 'excellent', 'lost'].map((quality) => `quality-${quality}`),
    ...['softer', 'fewer_pictures', 'teacher_picture', 'voices', 'teacher_voice'].flatMap((carried) => [`link-${carried}`, `link-of-${carried}`]),
    ...['on', 'teacher_only', 'off'].map((mode) => `chat-mode-${mode}`),
    ...['everyone', 'teachers'].map((to) => `chat-to-${to}`),
    ...['microphones', 'cameras', 'screen_share'].map((what) => `lock-${what}`),
  ];
  expect(made.filter((key) => !keys.has(key))).toEqual([]);
});

test('no module is longer than three hundred lines', () => {
  const long = files.filter(({ text }) => text.split('\n').length > 301);
  expect(long.map(({ name }) => name)).toEqual([]);
});
