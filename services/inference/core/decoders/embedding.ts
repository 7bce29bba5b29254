import { AppError } from '#shared/core/errors';
import type { CreateDecoder } from './decoder.ts';

/** An embedding finds nothing by itself: it is given the objects that another model has found, see core/embedding.ts. */
export const refuseEmbedding: CreateDecoder<'embedding'> = ({ name }) => {
  throw new AppError(
    'SIGHTLINE_MODEL_SHAPE_MISMATCH',
    `model ${name} makes embeddings of the objects that another model finds, and finds none itself`,
    { action: `Run it beside a detector: --embedding-model ${name}.` },
  );
};
