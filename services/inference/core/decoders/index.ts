import type { ModelFamily, ModelManifest, ScoreRules } from '../model.ts';
import type { CreateDecoder, Decode } from './decoder.ts';
import { createClassificationDecoder } from './classification.ts';
import { refuseEmbedding } from './embedding.ts';
import { createFastestdetDecoder } from './fastestdet.ts';
import { createNanodetDecoder } from './nanodet.ts';
import { createPicodetDecoder } from './picodet.ts';
import { createRtdetrDecoder } from './rtdetr.ts';
import { createSsdDecoder } from './ssd.ts';
import { createUltrafaceDecoder } from './ultraface.ts';
import { createYoloNmsDecoder } from './yolo-nms.ts';
import { createYolov5Decoder } from './yolov5.ts';
import { createYolov8Decoder, createYolov8PoseDecoder } from './yolov8.ts';
import { createYoloxDecoder } from './yolox.ts';
import { createYunetDecoder } from './yunet.ts';

/** One line a family. */
const decoders: { readonly [Family in ModelFamily]: CreateDecoder<Family> } = {
  classification: createClassificationDecoder,
  embedding: refuseEmbedding,
  fastestdet: createFastestdetDecoder,
  nanodet: createNanodetDecoder,
  picodet: createPicodetDecoder,
  rtdetr: createRtdetrDecoder,
  ssd: createSsdDecoder,
  ultraface: createUltrafaceDecoder,
  yolo_nms: createYoloNmsDecoder,
  yolov5: createYolov5Decoder,
  yolov8: createYolov8Decoder,
  yolov8_pose: createYolov8PoseDecoder,
  yolox: createYoloxDecoder,
  yunet: createYunetDecoder,
};

export function createDecoder(
  manifest: ModelManifest,
  shapes: Readonly<Record<string, readonly number[]>>,
  rules: ScoreRules,
): Decode {
  // The table's type says that each family's maker takes that family's manifest; the compiler cannot carry that through the look-up.
  const create = decoders[manifest.family] as CreateDecoder<ModelFamily>;
  return create(manifest, shapes, rules);
}
