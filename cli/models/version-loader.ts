import { AppError } from '#shared/core/errors';
import { modelKey, sameModel, type ModelRef } from '#shared/core/rollout/rollout-state';
import type { LoadedModel, ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';

/** Loads a version by its name and makes sure that it is the file that is meant. The model of the start may lie anywhere. */
export function createVersionLoader(
  library: ModelLibrary,
  first: LoadedModel,
): (ref: ModelRef) => Promise<LoadedModel> {
  return async (ref) => {
    const { manifest, digest } = first;
    if (sameModel(ref, { name: manifest.name, version: manifest.version, digest })) return first;
    const loaded = await library.load(modelKey(ref));
    if (loaded.digest === ref.digest) return loaded;
    throw new AppError(
      'SIGHTLINE_MODEL_DIGEST_MISMATCH',
      `${modelKey(ref)} has sha256 ${loaded.digest} here, the roll-out means ${ref.digest}`,
    );
  };
}
