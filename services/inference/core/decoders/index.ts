import type { ModelFamily, ModelManifest, ScoreRules } from '../model.ts';
import type { CreateDecoder, Decode } from './decoder.ts';
import { createPicodetDecoder } from './picodet.ts';
import { createYoloxDecoder } from './yolox.ts';

/** One line a family. */
const decoders: { readonly [Family in ModelFamily]: CreateDecoder<Family> } = {
  picodet: createPicodetDecoder,
  yolox: createYoloxDecoder,
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
