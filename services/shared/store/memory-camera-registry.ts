import type { CameraRegistration } from '#schemas';
import { checkVersion, nextRegistration, unknownCamera, type CameraRegistry } from '#shared/core/camera-registry';
import type { Logger } from '#shared/core/logger';
import { RegistryWatchers } from '#shared/core/registry-watchers';

/** For tests and runs that leave nothing behind. */
export function createMemoryCameraRegistry(logger: Logger): CameraRegistry {
  const cameras = new Map<string, CameraRegistration>();
  const watchers = new RegistryWatchers(logger);
  return {
    open: () => Promise.resolve(),
    list: () => Promise.resolve([...cameras.values()].sort((one, other) => (one.camera_id < other.camera_id ? -1 : 1))),
    get: (cameraId) => Promise.resolve(cameras.get(cameraId)),
    async put(registration, expected = {}) {
      const cameraId = registration.camera_id;
      const stored = nextRegistration(registration, cameras.get(cameraId), expected);
      cameras.set(cameraId, stored);
      watchers.tell({ cameraId, registration: stored });
      return stored;
    },
    async remove(cameraId, expected = {}) {
      const previous = cameras.get(cameraId);
      if (previous === undefined) throw unknownCamera(cameraId);
      checkVersion(cameraId, previous, expected);
      cameras.delete(cameraId);
      watchers.tell({ cameraId, registration: null });
    },
    watch: (listener) => watchers.add(listener),
    close() {
      watchers.clear();
      return Promise.resolve();
    },
  };
}
