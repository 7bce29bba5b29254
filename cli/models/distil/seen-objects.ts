import { AppError } from '#shared/core/errors';
import { inferenceSize, placeImage, toPictureBox } from '#shared/core/inference-geometry';
import { systemClock } from '#shared/runtime/system-clock';
import { createWorkerThreadEngine } from '../../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { detectionStride } from '../../../services/inference/core/detections.ts';
import type { EngineOutcome, VerifiedModel } from '../../../services/inference/core/ports.ts';
import { silentLogger } from '../silent-logger.ts';
import { readFrames, type ClipFrames } from './clip-frames.ts';

export interface SeenObject {
  readonly className: string;
  /** Left, top, width, height as shares of the picture. */
  readonly box: readonly [number, number, number, number];
  readonly score: number;
}

/** What a model sees on each frame of each clip: `[clip][frame]`. The same scaling, engine and decoding as frames of a camera get. */
export async function seenObjects(
  model: VerifiedModel,
  clips: readonly ClipFrames[],
  options: {
    readonly workers: number;
    /** In place of the manifest's thresholds; objects below it are left out. */
    readonly scoreFloor: number;
    readonly onFrame: () => void;
  },
): Promise<readonly (readonly (readonly SeenObject[])[])[]> {
  const engine = createWorkerThreadEngine({
    model,
    clock: systemClock,
    logger: silentLogger,
    workers: options.workers,
    thresholds: { score: options.scoreFloor },
  });
  await engine.start();
  try {
    const { input, labels } = engine.manifest;
    const seen: SeenObject[][][] = [];
    for (const clip of clips) {
      const placed = placeImage(inferenceSize(clip.size.widthPx, clip.size.heightPx, input), input);
      const frames: Promise<SeenObject[]>[] = [];
      for await (const image of readFrames(clip, input)) {
        const frame = engine.detect(image, { deadlineMs: null }).then((outcome) => {
          options.onFrame();
          return objectsOf(outcome, placed, labels);
        });
        frame.catch(() => undefined); // awaited below; of several that fail only the first is
        frames.push(frame);
        // One picture more than there are workers is read ahead.
        const before = frames.at(-1 - options.workers);
        if (before !== undefined) await before;
      }
      seen.push(await Promise.all(frames));
    }
    return seen;
  } finally {
    await engine.close();
  }
}

function objectsOf(
  outcome: EngineOutcome,
  placed: Parameters<typeof toPictureBox>[1],
  labels: readonly string[],
): SeenObject[] {
  if (outcome.kind === 'expired') throw new AppError('SIGHTLINE_INTERNAL', 'a run without a deadline expired');
  const { boxes } = outcome;
  return Array.from({ length: boxes.length / detectionStride }, (_, index): SeenObject[] => {
    const at = index * detectionStride;
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, score = 0, classId = 0] = boxes.subarray(at, at + detectionStride);
    const box = toPictureBox({ x1, y1, x2, y2 }, placed, null);
    if (box === null) return [];
    return [{ className: labels[classId] ?? String(classId), box: [box.x, box.y, box.width, box.height], score }];
  }).flat();
}
