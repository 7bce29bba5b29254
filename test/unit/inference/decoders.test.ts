import { describe, expect, test } from 'vitest';
import { createDecoder } from '../../../services/inference/core/decoders/index.ts';
import { createCandidateList } from '../../../services/inference/core/detections.ts';
import type { ModelManifest, ThresholdOverrides } from '../../../services/inference/core/model.ts';
import { scoreRules } from '../../../services/inference/core/score-rules.ts';
import { picodetManifest, yoloxManifest } from '../../support/manifests.ts';

type Outputs = Record<string, { readonly dims: readonly number[]; readonly data: Float32Array }>;

function zeros(...dims: number[]): Outputs[string] {
  return { dims, data: new Float32Array(dims.reduce((product, size) => product * size, 1)) };
}

function decode(manifest: ModelManifest, outputs: Outputs, overrides?: ThresholdOverrides): number[][] {
  const shapes = Object.fromEntries(Object.entries(outputs).map(([name, { dims }]) => [name, dims]));
  const candidates = createCandidateList({ initialCapacity: 1 });
  createDecoder(manifest, shapes, scoreRules(manifest, overrides))(outputs, candidates);
  return Array.from({ length: candidates.count }, (_, index) =>
    Array.from(candidates.values.subarray(index * 6, index * 6 + 6), (value) => Math.round(value * 1e4) / 1e4),
  );
}

describe('yolox', () => {
  function withRows(...rows: readonly { readonly cell: number; readonly values: readonly number[] }[]): Outputs {
    const output = zeros(1, 20, 8);
    for (const { cell, values } of rows) output.data.set(values, cell * 8);
    return { output };
  }

  test('turns a row into a box around its cell, with objectness times class score', () => {
    // Cell 6 is column 2, row 1 of the 4x4 grid of stride 8.
    expect(
      decode(yoloxManifest, withRows({ cell: 6, values: [0.5, 0.25, 0, Math.log(2), 0.8, 0.1, 0.9, 0.2] })),
    ).toEqual([[16, 2, 24, 18, 0.72, 1]]);
  });

  test('counts the cells of the next stride after those of the first', () => {
    // Cell 16 + 3 is column 1, row 1 of the 2x2 grid of stride 16.
    expect(decode(yoloxManifest, withRows({ cell: 19, values: [0.5, 0.5, 0, 0, 1, 1, 0, 0] }))).toEqual([
      [16, 16, 32, 32, 1, 0],
    ]);
  });

  test('leaves out what is below the threshold or not a number', () => {
    const box = [0, 0, 0, 0];
    const outputs = withRows(
      { cell: 0, values: [...box, 0.49, 1, 0, 0] },
      { cell: 1, values: [...box, 0.9, 0.5, 0, 0] },
      { cell: 2, values: [...box, Number.NaN, 1, 1, 1] },
      { cell: 3, values: [...box, 1, Number.NaN, Number.NaN, Number.NaN] },
    );
    expect(decode(yoloxManifest, outputs)).toEqual([]);
  });

  test('takes a threshold of its own for a class, and none of a class that is not wanted', () => {
    const outputs = withRows(
      { cell: 0, values: [0, 0, 0, 0, 0.3, 1, 0, 0] },
      { cell: 1, values: [0, 0, 0, 0, 0.9, 0, 1, 0] },
      { cell: 2, values: [0, 0, 0, 0, 0.9, 0, 0, 1] },
    );
    const classes = (overrides: ThresholdOverrides): unknown[] =>
      decode(yoloxManifest, outputs, overrides).map((box) => box[5]);
    expect(classes({ perClass: { person: 0.25, car: 0.95 } })).toEqual([0, 2]);
    expect(classes({ classes: ['car'] })).toEqual([1]);
    expect(classes({ score: 0.2 })).toEqual([0, 1, 2]);
  });

  test.each([
    ['too few cells', { output: zeros(1, 19, 8) }],
    ['another number of classes', { output: zeros(1, 20, 9) }],
    ['a batch', { output: zeros(2, 20, 8) }],
    ['two outputs', { output: zeros(1, 20, 8), other: zeros(1) }],
    ['no output', {}],
  ])('refuses a model with %s', (_, outputs) => {
    expect(() => decode(yoloxManifest, outputs)).toThrow(
      expect.objectContaining({
        code: 'SIGHTLINE_MODEL_SHAPE_MISMATCH',
        message: expect.stringContaining('[1,20,8]') as string,
      }),
    );
  });
});

describe('picodet', () => {
  function outputs(
    change: (all: {
      scores8: Float32Array;
      sides8: Float32Array;
      scores16: Float32Array;
      sides16: Float32Array;
    }) => void,
  ): Outputs {
    // Names without meaning and out of order: outputs are known by their shape.
    const all = { '41': zeros(1, 4, 16), '7': zeros(1, 16, 3), '12': zeros(1, 16, 16), '9': zeros(1, 4, 3) };
    change({ scores8: all['7'].data, sides8: all['12'].data, scores16: all['9'].data, sides16: all['41'].data });
    return all;
  }

  /** Logits whose softmax is all on this bin. */
  function certain(bin: number): number[] {
    return [0, 1, 2, 3].map((each) => (each === bin ? 50 : -50));
  }

  test('turns distances into a box around the middle of the cell', () => {
    const found = decode(
      picodetManifest,
      outputs(({ scores8, sides8 }) => {
        scores8[6 * 3 + 2] = 0.75;
        sides8.set([...certain(1), ...certain(0), ...certain(2), ...certain(3)], 6 * 16);
      }),
    );
    expect(found).toEqual([[12, 12, 36, 36, 0.75, 2]]);
  });

  test('takes the mean of a distance that is spread over bins', () => {
    const [box] = decode(
      picodetManifest,
      outputs(({ scores16 }) => {
        scores16[0] = 0.9;
      }),
    );
    // All bins alike: 1.5 cells of 16 pixels to each side of (8, 8).
    expect(box).toEqual([-16, -16, 32, 32, 0.9, 0]);
  });

  test('gives a box for each class of a cell that reaches its threshold, and none for what is not a number', () => {
    const found = decode(
      picodetManifest,
      outputs(({ scores16 }) => {
        scores16.set([0.6, 0.7, 0.4, Number.NaN, -1, -0.9], 0);
      }),
    );
    expect(found.map((box) => [box[4], box[5]])).toEqual([
      [0.6, 0],
      [0.7, 1],
    ]);
  });

  test('finds a score wherever it stands, also behind the last full group of eight', () => {
    for (let at = 0; at < 48; at++) {
      const found = decode(
        picodetManifest,
        outputs(({ scores8 }) => scores8.fill(0.5, at, at + 1)),
      );
      expect(found).toHaveLength(1);
    }
    for (let at = 0; at < 12; at++) {
      const found = decode(
        picodetManifest,
        outputs(({ scores16 }) => scores16.fill(0.5, at, at + 1)),
      );
      expect(found).toHaveLength(1);
    }
  });

  test('refuses a model without the outputs of a stride', () => {
    const three = { a: zeros(1, 16, 3), b: zeros(1, 16, 16), c: zeros(1, 4, 3) };
    expect(() => decode(picodetManifest, three)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_MODEL_SHAPE_MISMATCH' }),
    );
  });
});

test('a threshold for a class that the model does not know is refused by its name', () => {
  expect(() => scoreRules(yoloxManifest, { perClass: { zebra: 0.5 } })).toThrow(/no class 'zebra'/);
});
