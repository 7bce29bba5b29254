import type { PixelImage } from '#shared/core/frame';
import { createDecoder } from '../../core/decoders/index.ts';
import { createCandidateList } from '../../core/detections.ts';
import { keypointNamesOf } from '../../core/keypoint-names.ts';
import type { ModelManifest, ScoreRules } from '../../core/model.ts';
import { suppressNonMaxima } from '../../core/non-max-suppression.ts';
import type { ExecutionProvider, PixelDetections } from '../../core/ports.ts';
import { openRuntimeSession, shapesOf } from './runtime-session.ts';

/** One session with everything that one thread needs to turn images into boxes. Blocks its thread while it runs. */
export interface DetectorSession {
  /** One image at a time: the input memory is the session's own. */
  detect(image: PixelImage): Promise<PixelDetections>;
  close(): Promise<void>;
}

/** Loads a verified model and checks its input and outputs against the manifest. */
export async function openDetectorSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: ModelManifest,
  rules: ScoreRules,
  provider: ExecutionProvider = 'cpu',
): Promise<DetectorSession> {
  const session = await openRuntimeSession(bytes, manifest, provider);
  try {
    const candidates = createCandidateList({ keypoints: keypointNamesOf(manifest).length });
    const decode = createDecoder(manifest, shapesOf(session.firstOutputs), rules);
    decode(session.firstOutputs, candidates);
    return {
      async detect(image) {
        const run = await session.run(image);
        const { preprocessMs, inferenceMs } = run;
        const ranMs = performance.now();
        candidates.clear();
        decode(run.outputs, candidates);
        run.free();
        const found = suppressNonMaxima(candidates, rules.nmsIou, rules.maxObjects);
        return { ...found, preprocessMs, inferenceMs, postprocessMs: performance.now() - ranMs };
      },
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}
