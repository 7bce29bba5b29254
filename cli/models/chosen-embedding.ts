import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import type { VerifiedEmbedding } from '../../services/inference/core/ports.ts';

/** Loads the embedding model that the settings name; undefined where they name none. */
export async function loadEmbedding(
  library: ModelLibrary,
  nameOrPath: string | undefined,
  logger: Logger,
): Promise<VerifiedEmbedding | undefined> {
  if (nameOrPath === undefined) return undefined;
  const { manifest, digest, bytes } = await library.load(nameOrPath);
  if (manifest.family !== 'embedding') {
    throw new AppError(
      'SIGHTLINE_CONFIG_INVALID',
      `embedding_model names ${manifest.name}, which is of family ${manifest.family} and makes no embeddings`,
      { action: 'Name a model of family embedding; `sightline models list` shows them.' },
    );
  }
  logger.info({ model: manifest.name, version: manifest.version }, 'embedding model');
  return { manifest, digest, bytes };
}
