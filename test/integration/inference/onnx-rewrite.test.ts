import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { fieldsOf } from '../../../services/inference/core/onnx-fields.ts';
import { parseNode } from '../../../services/inference/core/onnx-graph.ts';
import { rewriteOnnx } from '../../../services/inference/core/onnx-rewrite.ts';
import { encodeStemModel } from '../../support/onnx-models.ts';

const sizePx = 12;
const outs = 5;
const weights = Float32Array.from({ length: outs * 12 * 9 }, (_, index) => Math.sin(index));
const pixels = Float32Array.from({ length: 3 * sizePx * sizePx }, (_, index) => (index * 37) % 256);

async function run(model: Uint8Array): Promise<{ readonly dims: readonly number[]; readonly data: Float32Array }> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 4 });
  const { output } = await session.run({ images: new Tensor('float32', pixels, [1, 3, sizePx, sizePx]) });
  if (!(output instanceof Tensor) || !(output.data instanceof Float32Array)) throw new Error('no output of floats');
  return { dims: output.dims, data: output.data };
}

function operators(model: Uint8Array): string[] {
  const graph = fieldsOf(model).find((field) => field.number === 7)?.bytes ?? new Uint8Array();
  return fieldsOf(graph).flatMap(({ number, bytes }) =>
    number === 1 && bytes !== undefined ? [parseNode(bytes).op] : [],
  );
}

test('one convolution of stride 2 gives the numbers of a picture in four parts and a convolution', async () => {
  const model = encodeStemModel({ sizePx, weights });
  const rewritten = rewriteOnnx(model, { mayTranspose: false });
  expect(operators(rewritten)).toEqual(['Conv', 'Reshape', 'Transpose']);
  const [before, after] = [await run(model), await run(rewritten)];
  expect(after.dims).toEqual([1, 36, outs]);
  for (const [index, value] of before.data.entries()) expect(after.data[index]).toBeCloseTo(value, 2);
});

test('the order of the four parts is kept', async () => {
  const model = encodeStemModel({
    sizePx,
    weights,
    corners: [
      [1, 1],
      [0, 0],
      [0, 1],
      [1, 0],
    ],
  });
  const [before, after] = [await run(model), await run(rewriteOnnx(model, { mayTranspose: false }))];
  for (const [index, value] of before.data.entries()) expect(after.data[index]).toBeCloseTo(value, 2);
});

test('without its last Transpose an output is the other way round, and says so', async () => {
  const model = encodeStemModel({ sizePx, weights });
  const rewritten = rewriteOnnx(model, { mayTranspose: true });
  expect(operators(rewritten)).toEqual(['Conv', 'Reshape']);
  const [before, after] = [await run(model), await run(rewritten)];
  expect(after.dims).toEqual([1, outs, 36]);
  for (let cell = 0; cell < 36; cell++)
    for (let out = 0; out < outs; out++)
      expect(after.data[out * 36 + cell]).toBeCloseTo(before.data[cell * outs + out] ?? Number.NaN, 2);
});

test.each([
  ['parts that leave pixels out', encodeStemModel({ sizePx, weights, step: 3 })],
  [
    'a part that is there twice',
    encodeStemModel({
      sizePx,
      weights,
      corners: [
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 1],
      ],
    }),
  ],
])('%s are left as they are', (_, model) => {
  expect(rewriteOnnx(model, { mayTranspose: false })).toBe(model);
});
