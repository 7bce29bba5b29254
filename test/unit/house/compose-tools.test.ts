import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const address = 'kafka://kafka:9092/?registry=http://registry:8080';
let folder: string;

// The command line is replaced by one that prints what it was given.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sightline-tools-'));
  for (const name of ['cli', 'deploy']) mkdirSync(join(folder, name));
  copyFileSync(fileURLToPath(new URL('../../../deploy/tools.mjs', import.meta.url)), join(folder, 'deploy/tools.mjs'));
  writeFileSync(join(folder, 'cli/bin.mjs'), 'console.log(JSON.stringify(process.argv.slice(2)));');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function given(...words: string[]): unknown {
  const environment = { ...process.env, KAFKA_BROKERS: 'kafka:9092', SCHEMA_REGISTRY_URL: 'http://registry:8080' };
  const file = join(folder, 'deploy/tools.mjs');
  return JSON.parse(execFileSync(process.execPath, [file, ...words], { env: environment, encoding: 'utf8' }));
}

describe('the container tools', () => {
  it.each([
    ['results', 'tail'],
    ['results', 'tail', '--since', '2026-11-23T06:00:00Z'],
    ['results', 'verify', '--strict', '--since', '10m'],
    ['results', 'cat', '--camera', 'hall.2'],
  ])('gives %s %s %s the topics of the installation', (...words) => {
    const [command, action, ...options] = words;
    expect(given(...words)).toEqual([command, action, address, ...options]);
  });

  it.each([
    ['results', 'cat', '-'],
    ['results', 'stats', 'door.avro'],
    ['results', 'verify', 'door.jsonl', '--json'],
    ['results', 'cat', '/state/results'],
    ['results', 'tail', 'kafka://other:9092/?registry=http://other:8080'],
    ['results', 'tail', '--url', 'http://control:8080'],
    ['camera', 'list'],
  ])('leaves %s %s %s as it is', (...words) => {
    expect(given(...words)).toEqual(words);
  });
});
