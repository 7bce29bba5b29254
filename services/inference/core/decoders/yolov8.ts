import { keypointStride } from '../detections.ts';
import type { ModelManifest, ScoreRules } from '../model.ts';
import { outputOfShape, pushCentred, shapeMismatch, type CreateDecoder, type Decode } from './decoder.ts';

/**
 * YOLOv8, v9, v11, v12 as exported without suppression: one output [1, 4 + classes, boxes] in pixels of the input; four planes hold
 * centre and size, one plane a class its scores. There is no objectness.
 */
export const createYolov8Decoder: CreateDecoder<'yolov8'> = (manifest, shapes, rules) =>
  decoderOf(manifest, shapes, rules, 0);

/** Their pose models: the same, and after the scores three planes a keypoint: x, y in pixels of the input, and how sure it is that it can be seen. */
export const createYolov8PoseDecoder: CreateDecoder<'yolov8_pose'> = (manifest, shapes, rules) =>
  decoderOf(manifest, shapes, rules, manifest.outputs.keypoints.length);

function decoderOf(
  manifest: ModelManifest,
  shapes: Readonly<Record<string, readonly number[]>>,
  { lowestScore, scoreByClass }: ScoreRules,
  points: number,
): Decode {
  const firstKeypoint = 4 + manifest.labels.length;
  const planes = firstKeypoint + points * keypointStride;
  const name = outputOfShape(shapes, (dims) => dims.length === 3 && dims[0] === 1 && dims[1] === planes);
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,${planes},boxes]`, shapes);
  const boxes = shapes[name]?.[2] ?? 0;
  const bestScore = new Float32Array(boxes);
  const bestClass = new Uint32Array(boxes);

  return (tensors, candidates) => {
    const values = tensors[name]?.data;
    if (values === undefined) return;
    bestScore.fill(-1);
    // Plane by plane, as they lie in memory.
    for (let each = 0; each < scoreByClass.length; each++) {
      const from = (4 + each) * boxes;
      for (let box = 0; box < boxes; box++) {
        const score = values[from + box] ?? 0;
        if (score >= lowestScore && score > (bestScore[box] ?? 0)) {
          bestScore[box] = score;
          bestClass[box] = each;
        }
      }
    }
    for (let box = 0; box < boxes; box++) {
      const score = bestScore[box] ?? 0;
      const classIndex = bestClass[box] ?? 0;
      if (score < 0 || !(score >= (scoreByClass[classIndex] ?? 0))) continue;
      const at = (plane: number): number => values[plane * boxes + box] ?? 0;
      pushCentred(candidates, { x: at(0), y: at(1), width: at(2), height: at(3) }, score, classIndex);
      if (points === 0) continue;
      const keypoints = candidates.keypointsOfLast();
      for (let index = 0; index < keypoints.length; index++) keypoints[index] = at(firstKeypoint + index);
    }
  };
}
