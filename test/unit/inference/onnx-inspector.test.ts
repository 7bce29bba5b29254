import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { inspectOnnx } from '../../../services/inference/core/onnx-inspector.ts';

/** A protobuf field: a number as varint, anything else with its length before it. */
function field(number: number, value: number | string | Uint8Array): Uint8Array {
  if (typeof value === 'number') return Uint8Array.from([...varint(number * 8), ...varint(value)]);
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function message(...fields: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(fields.flatMap((each) => [...each]));
}

const node = message(field(1, 'x'), field(2, 'y'), field(4, 'Relu'));
const outside = message(field(1, 4), field(13, message(field(1, 'location'), field(2, 'weights.bin'))), field(14, 1));

function model(...graphFields: readonly Uint8Array[]): Uint8Array {
  return message(field(1, 8), field(7, message(...graphFields)), field(8, message(field(2, 17))));
}

test('reads versions and counts operators', () => {
  expect(inspectOnnx(model(field(1, node), field(1, node)))).toEqual({
    irVersion: 8,
    opset: 17,
    nodeCount: 2,
    producer: '',
    metadata: {},
  });
});

test('reads what the exporter noted', () => {
  const noted = message(
    model(field(1, node)),
    field(2, 'pytorch'),
    field(14, message(field(1, 'names'), field(2, "{0: 'person'}"))),
  );
  expect(inspectOnnx(noted)).toMatchObject({ producer: 'pytorch', metadata: { names: "{0: 'person'}" } });
});

describe('refuses tensors that are kept outside the file', () => {
  const inAttribute = field(1, message(field(4, 'Constant'), field(5, message(field(1, 'value'), field(5, outside)))));
  const inBranch = field(1, message(field(4, 'If'), field(5, message(field(6, message(field(5, outside)))))));
  const inFunction = message(
    model(field(1, node)),
    field(25, message(field(7, message(field(5, message(field(5, outside))))))),
  );

  test.each([
    ['as an initializer', model(field(1, node), field(5, outside))],
    ['as a sparse initializer', model(field(1, node), field(15, message(field(1, outside))))],
    ['as a constant', model(inAttribute)],
    ['inside a branch', model(inBranch)],
    ['inside a function', inFunction],
    ['as a list of tensors', model(field(1, message(field(5, message(field(10, outside))))))],
  ])('%s', (_, bytes) => {
    expect(() => inspectOnnx(bytes)).toThrow(expect.objectContaining({ code: 'SIGHTLINE_MODEL_UNSAFE' }));
  });
});

test('refuses operators of a foreign domain', () => {
  const foreign = field(1, message(field(4, 'Run'), field(7, 'com.evil')));
  expect(() => inspectOnnx(model(foreign))).toThrow(/domain 'com\.evil'/);
});

test.each([
  ['nothing', new Uint8Array()],
  ['text', new TextEncoder().encode('<html>404</html>')],
  ['a model without a graph', message(field(1, 8))],
  ['a model that was cut off', model(field(1, node)).subarray(0, 12)],
  ['a number that never ends', new Uint8Array(20).fill(0xff)],
])('calls %s corrupt', (_, bytes) => {
  expect(() => inspectOnnx(bytes)).toThrow(expect.objectContaining({ code: 'SIGHTLINE_MODEL_CORRUPT' }));
});

test('ends on any bytes with a summary or an error of ours', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        inspectOnnx(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
      }
    }),
  );
});
