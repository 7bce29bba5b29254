import type { AppError } from '#shared/core/errors';
import { reasonOf } from './camera-failure.ts';
import { createCameraSpec, type CameraSpec } from './camera-spec.ts';
import type { OpenFrameSource } from './ports.ts';

/** Stands where a refused camera's address would; nothing opens it. */
const refusedPath = 'refused';

/** A camera that cannot even be tried: run like any other it is REJECTED, with the reason. */
export function refusedCamera(
  cameraId: string,
  error: AppError,
): { readonly camera: CameraSpec; readonly openSource: OpenFrameSource } {
  const end = { reason: reasonOf(error), text: error.message, error };
  return {
    camera: createCameraSpec({ id: cameraId, url: refusedPath }),
    openSource: () => ({ run: () => Promise.resolve(end) }),
  };
}
