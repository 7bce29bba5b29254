import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { keepToken } from '../../../cli/control/kept-token.ts';
import { matchToken, tokenIdOf } from '../../../services/control/core/tokens.ts';
import { memoryTokens } from '../../support/control-doubles.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';

async function start() {
  const directory = await mkdtemp(path.join(tmpdir(), 'sightline-token-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const tokens = memoryTokens();
  const file = path.join(directory, 'local-token');
  const isGood = async (): Promise<boolean> => {
    const text = (await readFile(file, 'utf8')).trim();
    return matchToken(text, tokens.get(tokenIdOf(text) ?? ''), Date.now())?.role === 'admin';
  };
  const restart = () => keepToken(tokens, { directory, clock: systemClock, logger: silentLogger });
  await restart();
  return { tokens, file, isGood, restart };
}

test('the first token is an administrator of whom only the file knows, for its user alone', async () => {
  const { file, isGood } = await start();
  expect(await isGood()).toBe(true);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('it stays through restarts', async () => {
  const { file, isGood, restart } = await start();
  const before = await readFile(file, 'utf8');
  await restart();
  expect(await readFile(file, 'utf8')).toBe(before);
  expect(await isGood()).toBe(true);
});

test('without its file there is a new one, and the old one ends', async () => {
  const { tokens, file, isGood, restart } = await start();
  await rm(file);
  await restart();
  expect(await isGood()).toBe(true);
  expect(tokens.list()).toHaveLength(1);
});

test('one that was revoked stays so while there are others, and is made anew where there is none', async () => {
  const { tokens, isGood, restart } = await start();
  const [first] = tokens.list();
  if (first === undefined) throw new Error('no token');
  tokens.put({ ...first, id: 'aaaaaaaaaaaa', name: 'mine' });
  tokens.remove(first.id);
  await restart();
  expect(await isGood()).toBe(false);
  tokens.remove('aaaaaaaaaaaa');
  await restart();
  expect(await isGood()).toBe(true);
});
