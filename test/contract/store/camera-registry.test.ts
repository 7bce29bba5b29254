import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CameraRegistry } from '#shared/core/camera-registry';
import { createMemoryCameraRegistry } from '#shared/store/memory-camera-registry';
import { createSqliteCameraRegistry } from '#shared/store/sqlite-camera-registry';
import { registration } from '../../support/registrations.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { describeCameraRegistryContract } from './camera-registry-contract.ts';

async function sqliteAt(stateDir: string): Promise<CameraRegistry> {
  const registry = createSqliteCameraRegistry({ stateDir, logger: silentLogger, pollIntervalMs: 20 });
  await registry.open();
  return registry;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describeCameraRegistryContract('in memory', () => {
  const registry = createMemoryCameraRegistry(silentLogger);
  return Promise.resolve([registry, registry]);
});
describeCameraRegistryContract('sqlite', async () => {
  const stateDir = join(await temporaryFolder(), 'state');
  return [await sqliteAt(stateDir), await sqliteAt(stateDir)];
});

describe('sqlite camera registry', () => {
  test('has its cameras again when it is opened anew, and lets only its owner read', async () => {
    const stateDir = await temporaryFolder();
    const first = await sqliteAt(stateDir);
    const stored = await first.put(registration({ camera_id: 'gate', url: 'rtsp://anna:canary-pw@192.0.2.10/main' }));
    for (const file of await readdir(stateDir)) {
      expect((await stat(join(stateDir, file))).mode & 0o077).toBe(0);
      expect((await readFile(join(stateDir, file))).includes('canary-pw')).toBe(false);
    }
    await first.close();
    const second = await sqliteAt(stateDir);
    onTestFinished(() => second.close());
    expect(await second.list()).toEqual([stored]);
  });
});
