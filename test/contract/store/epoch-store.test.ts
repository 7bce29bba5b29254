import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { EpochStore } from '#shared/core/epoch-store';
import { createMemoryEpochStore } from '#shared/store/memory-epoch-store';
import { openSqliteEpochStore } from '#shared/store/sqlite-epoch-store';

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function describeEpochStoreContract(name: string, open: () => Promise<EpochStore>): void {
  describe(`epoch store contract: ${name}`, () => {
    test('counts each camera apart, from 1', async () => {
      const store = await open();
      onTestFinished(() => store.close());
      expect([await store.next('a'), await store.next('a'), await store.next('b'), await store.next('a')]).toEqual([
        1, 2, 1, 3,
      ]);
    });

    test('gives no epoch twice when asked many times at once', async () => {
      const store = await open();
      onTestFinished(() => store.close());
      const epochs = await Promise.all(Array.from({ length: 50 }, () => store.next('a')));
      expect(new Set(epochs).size).toBe(50);
    });

    test('may be closed twice', async () => {
      const store = await open();
      await store.close();
      await expect(store.close()).resolves.toBeUndefined();
    });
  });
}

describeEpochStoreContract('in memory', () => Promise.resolve(createMemoryEpochStore()));
describeEpochStoreContract('sqlite', async () => openSqliteEpochStore(join(await temporaryFolder(), 'state')));

describe('sqlite epoch store', () => {
  test('goes on where the process before it ended', async () => {
    const folder = await temporaryFolder();
    const first = await openSqliteEpochStore(folder);
    await first.next('a');
    await first.close();
    const second = await openSqliteEpochStore(folder);
    onTestFinished(() => second.close());
    expect(await second.next('a')).toBe(2);
  });

  test('gives no epoch twice to several processes, one of them killed', async () => {
    const folder = await temporaryFolder();
    const module = resolve(import.meta.dirname, '../../../services/shared/store/sqlite-epoch-store.ts');
    const script = `
      const { openSqliteEpochStore } = await import(${JSON.stringify(module)});
      const store = await openSqliteEpochStore(${JSON.stringify(folder)});
      for (let count = 0; count < 40; count++) process.stdout.write(String(await store.next('a')) + '\\n');
      process.kill(process.pid, process.argv[1] === 'killed' ? 'SIGKILL' : 0);
    `;
    const outputs = await Promise.all(
      ['killed', 'well', 'well'].map(async (fate) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, fate], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        onTestFinished(() => void child.kill('SIGKILL'));
        let output = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
        await once(child, 'close');
        return output.trim().split('\n').map(Number);
      }),
    );
    const epochs = outputs.flat();
    expect(epochs.length).toBeGreaterThanOrEqual(80);
    expect(new Set(epochs).size).toBe(epochs.length);
  });

  test.skipIf(process.getuid?.() === 0)('says that its folder cannot be written', async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o500);
    await expect(openSqliteEpochStore(folder)).rejects.toMatchObject({ code: 'SIGHTLINE_STATE_DIR_UNUSABLE' });
  });

  test('says that its file is none of its own', async () => {
    const folder = await temporaryFolder();
    await writeFile(
      join(folder, 'epochs.sqlite'),
      'this is no database, but a text that is long enough to be taken for one'.repeat(20),
    );
    await expect(openSqliteEpochStore(folder)).rejects.toMatchObject({ code: 'SIGHTLINE_STATE_DIR_UNUSABLE' });
  });
});
