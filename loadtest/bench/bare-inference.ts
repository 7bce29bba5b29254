/**
 * The floor that the pipeline is measured against: nothing but session.run, one thread, on real frames, as often as the pipeline runs it.
 * Usage: bare-inference.ts MODEL.onnx INPUT_NAME WIDTH HEIGHT FRAMES TENSORS.f32
 * TENSORS.f32 holds some frames as the model takes them (CHW float32); they are run in turn.
 */
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [model = '', inputName = '', widthText = '', heightText = '', framesText = '', tensorsFile = ''] =
  process.argv.slice(2);
const [width, height, frames] = [Number(widthText), Number(heightText), Number(framesText)];
const session = await InferenceSession.create(model, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
});
const bytes = readFileSync(tensorsFile);
const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const size = 3 * width * height;
const tensors = Array.from(
  { length: all.length / size },
  (_, index) => new Tensor('float32', all.slice(index * size, (index + 1) * size), [1, 3, height, width]),
);
for (let frame = 0; frame < frames; frame += 1) {
  const tensor = tensors[frame % tensors.length];
  if (tensor !== undefined) await session.run({ [inputName]: tensor });
}
