import type { CameraRegistryChange } from './camera-registry.ts';
import { toAppError } from './errors.ts';
import type { Logger } from './logger.ts';

type Listener = (change: CameraRegistryChange) => void;

/** Whoever watches a registry. One that throws is told of in the log and keeps nobody else from the change. */
export class RegistryWatchers {
  readonly #listeners = new Set<Listener>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(listener: Listener): () => void {
    const own: Listener = (change) => listener(change);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell(change: CameraRegistryChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (thrown) {
        this.#logger.error({ error: toAppError(thrown), camera: change.cameraId }, 'a watcher of the cameras failed');
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
