import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CameraRegistry, CameraRegistryChange } from '#shared/core/camera-registry';
import { registration } from '../../support/registrations.ts';

/**
 * What every registry keeps to. `openTwo` gives two of them on one store, as two processes have it (the same one twice where there is
 * only one process), in a place of their own; both open.
 */
export function describeCameraRegistryContract(
  name: string,
  openTwo: () => Promise<readonly [CameraRegistry, CameraRegistry]>,
): void {
  const gate = registration({ camera_id: 'gate', url: 'rtsp://anna:pw@192.0.2.10/main', tags: { site: 'north' } });
  const yard = registration({ camera_id: 'yard', url: 'rtsp://192.0.2.11/main', fps: 2.5 });

  async function two() {
    const [one, other] = await openTwo();
    onTestFinished(async () => {
      await one.close();
      await other.close();
    });
    return { one, other };
  }

  describe(`camera registry contract: ${name}`, () => {
    test('gives back what was registered, by name, at version 1', async () => {
      const { one } = await two();
      expect(await one.list()).toEqual([]);
      expect(await one.get('gate')).toBeUndefined();
      await one.put(yard);
      const stored = await one.put(gate, { expectedVersion: 0 });
      expect(stored).toEqual({ ...gate, config_version: 1 });
      expect(await one.get('gate')).toEqual(stored);
      expect((await one.list()).map(({ camera_id }) => camera_id)).toEqual(['gate', 'yard']);
    });

    test('counts the changes of a camera and keeps the time of its first registration', async () => {
      const { one } = await two();
      await one.put(gate);
      const changed = await one.put({ ...gate, fps: 10, created_at: 1, updated_at: gate.updated_at + 5 });
      expect(changed).toMatchObject({ config_version: 2, fps: 10, created_at: gate.created_at });
      expect(await one.get('gate')).toEqual(changed);
    });

    test('refuses a change that was made on another version, and leaves what is there', async () => {
      const { one } = await two();
      await one.put(gate);
      const second = await one.put({ ...gate, fps: 1 }, { expectedVersion: 1 });
      await expect(one.put({ ...gate, fps: 9 }, { expectedVersion: 1 })).rejects.toMatchObject({
        code: 'SIGHTLINE_CAMERA_CHANGED',
      });
      await expect(one.put(gate, { expectedVersion: 0 })).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_EXISTS' });
      await expect(one.put(yard, { expectedVersion: 3 })).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_UNKNOWN' });
      await expect(one.remove('gate', { expectedVersion: 1 })).rejects.toMatchObject({
        code: 'SIGHTLINE_CAMERA_CHANGED',
      });
      expect(await one.list()).toEqual([second]);
    });

    test('lets one of many changes on the same version through', async () => {
      const { one, other } = await two();
      await one.put(gate);
      await vi.waitFor(async () => expect(await other.get('gate')).toBeDefined(), { timeout: 10_000 });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) =>
          (index % 2 === 0 ? one : other).put({ ...gate, fps: index + 1 }, { expectedVersion: 1 }),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await one.get('gate')).toMatchObject({ config_version: 2 });
    });

    test('removes a camera, once', async () => {
      const { one } = await two();
      await one.put(gate);
      await one.remove('gate', { expectedVersion: 1 });
      expect(await one.list()).toEqual([]);
      await expect(one.remove('gate')).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_UNKNOWN' });
    });

    test('tells whoever watches of every change, also of one that another made', async () => {
      const { one, other } = await two();
      const changes: CameraRegistryChange[] = [];
      other.watch(() => {
        throw new Error('a watcher that fails keeps nobody else from the change');
      });
      const stop = other.watch((change) => void changes.push(change));
      const stored = await one.put(gate);
      await vi.waitFor(() => expect(changes).toMatchObject([{ cameraId: 'gate', registration: stored }]), {
        timeout: 10_000,
      });
      await one.remove('gate');
      await vi.waitFor(() => expect(changes.at(-1)).toMatchObject({ cameraId: 'gate', registration: null }), {
        timeout: 10_000,
      });
      stop();
      await one.put(yard);
      await vi.waitFor(async () => expect(await other.get('yard')).toBeDefined(), { timeout: 10_000 });
      expect(changes).toHaveLength(2);
    });

    test('may be closed twice', async () => {
      const [one, other] = await openTwo();
      for (const registry of [one, one, other, other]) await expect(registry.close()).resolves.toBeUndefined();
    });
  });
}
