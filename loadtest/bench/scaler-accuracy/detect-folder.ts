import { readFileSync } from 'node:fs';
import { toPictureBox, placeImage } from '#shared/core/inference-geometry';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { openDetectorSession } from '../../../services/inference/adapters/onnxruntime/detector-session.ts';
import { detectionStride } from '../../../services/inference/core/detections.ts';
import { scoreRules } from '../../../services/inference/core/score-rules.ts';

/** Boxes of our own code for images of raw pixels: reads a list of them as JSON from standard input, writes the boxes as JSON. See measure.py. */
interface Case {
  readonly id: number;
  readonly file: string;
  readonly widthPx: number;
  readonly heightPx: number;
}

const modelsDirectory = process.argv[2] ?? '';
const cases = JSON.parse(readFileSync(0, 'utf8')) as readonly Case[]; // written by measure.py
const library = createModelLibrary({ directories: [`${import.meta.dirname}/../../../models`, modelsDirectory] });
const { bytes, manifest } = await library.load('yolox-nano');
const rules = scoreRules(manifest, { score: 0.01, nmsIou: 0.65, maxObjects: 300 });
const session = await openDetectorSession(bytes, manifest, rules);

const answer: unknown[] = [];
for (const { id, file, widthPx, heightPx } of cases) {
  const data = new Uint8Array(readFileSync(file));
  const { boxes } = await session.detect({ format: 'gbrp', widthPx, heightPx, data });
  const placed = placeImage({ widthPx, heightPx }, manifest.input);
  const objects: unknown[] = [];
  for (let at = 0; at < boxes.length; at += detectionStride) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, confidence = 0, classId = 0] = boxes.subarray(at, at + detectionStride);
    const box = toPictureBox({ x1, y1, x2, y2 }, placed, null);
    if (box !== null) objects.push({ class_id: classId, confidence, ...box });
  }
  answer.push({ id, objects });
}
await session.close();
process.stdout.write(JSON.stringify(answer));
