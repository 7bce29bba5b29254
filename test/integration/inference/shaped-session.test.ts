import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PlanarImage } from '#shared/core/frame';
import { placeImage } from '#shared/core/inference-geometry';
import { openShapedSession } from '../../../services/inference/adapters/onnxruntime/shaped-session.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { boxesAlone } from '../../../services/inference/core/detections.ts';
import { withInputShape } from '../../../services/inference/core/model-shape.ts';
import { scoreRules } from '../../../services/inference/core/score-rules.ts';
import { objectsOf } from '../../../services/inference/detection-record.ts';
import { picturePixels, pictureSize } from '../../../cli/models/picture-pixels.ts';
import { picodetManifest, yoloxManifest } from '../../support/manifests.ts';
import { testModelLibrary } from '../../support/models.ts';
import { encodeStemModel } from '../../support/onnx-models.ts';
import { testDataPath } from '../../support/test-data.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

const weights = Float32Array.from({ length: 6 * 12 * 9 }, (_, index) => Math.sin(index));
/** What encodeStemModel makes, as a detector of one class. */
const stemManifest = withInputShape(
  {
    ...yoloxManifest,
    labels: ['person'],
    input: { ...yoloxManifest.input, widthPx: 128, heightPx: 128 },
    outputs: { strides: [2] },
  },
  'fit',
);

function grey(widthPx: number, heightPx: number): PlanarImage {
  return { format: 'gbrp', widthPx, heightPx, data: new Uint8Array(widthPx * heightPx * 3).fill(114) };
}

test('a model that takes any size runs pictures of many shapes, of which some are opened again', async () => {
  const model = encodeStemModel({ sizePx: 128, weights, isFlexible: true });
  const session = await openShapedSession(model, stemManifest, scoreRules(stemManifest));
  onTestFinished(() => session.close());
  const widths = [32, 64, 96, 128, 160, 192, 224, 32];
  for (const width of widths) expect(await session.detect(grey(width, 64))).toHaveProperty('boxes');
});

test('a model with its size written into its graph is refused, with what to do', async () => {
  const model = encodeStemModel({ sizePx: 128, weights });
  await expect(openShapedSession(model, stemManifest, scoreRules(stemManifest))).rejects.toMatchObject({
    code: 'SIGHTLINE_MODEL_SHAPE_FIXED',
    action: expect.stringContaining('fixed') as unknown,
  });
});

test('a model that takes pictures pulled to its size has no shape to choose', () => {
  expect(withInputShape(picodetManifest, 'fixed')).toBe(picodetManifest);
  expect(() => withInputShape(picodetManifest, 'trim')).toThrow(
    expect.objectContaining({ code: 'SIGHTLINE_MODEL_SHAPE_FIXED' }),
  );
});

const library = testModelLibrary();
describe.skipIf(library === undefined)('yolox_nano on photos', () => {
  const photos = ['000000000790.jpg', '000000001296.jpg', '000000010707.jpg'];

  async function peopleIn(photo: string, shape: 'fixed' | 'trim' | 'fit') {
    const file = testDataPath(`images/coco_labelled/${photo}`) ?? '';
    const model = await library?.load('yolox_nano');
    if (model === undefined) throw new Error('the model is not here');
    const manifest = withInputShape(model.manifest, shape);
    const image = await picturePixels(file, await pictureSize(file), manifest.input);
    const session = await openShapedSession(model.bytes, manifest, scoreRules(manifest));
    const found = { ...boxesAlone, ...(await session.detect(image)) };
    await session.close();
    const names = { labels: manifest.labels, keypoints: [], embeddingModel: null };
    return objectsOf(found, placeImage(image, manifest.input), null, names).filter(
      ({ class_name, confidence }) => class_name === 'person' && confidence > 0.6,
    );
  }

  test.each(photos)(
    '%s: whoever is clearly seen in the shape of the model is seen at the same place in the others',
    async (photo) => {
      const clear = await peopleIn(photo, 'fixed');
      expect(clear.length).toBeGreaterThan(0);
      for (const shape of ['trim', 'fit'] as const) {
        const found = await peopleIn(photo, shape);
        for (const { bbox } of clear) {
          const near = found.filter(
            (other) =>
              Math.abs(other.bbox.x - bbox.x) < 0.05 &&
              Math.abs(other.bbox.y - bbox.y) < 0.05 &&
              Math.abs(other.bbox.width - bbox.width) < 0.08 &&
              Math.abs(other.bbox.height - bbox.height) < 0.08,
          );
          expect({ shape, bbox, near: near.length }).toEqual({ shape, bbox, near: 1 });
        }
      }
    },
  );
});

test('a setting takes the place of what the manifest says of the shape', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-shape-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const manifest = await writeTinyModel(directory);
  const shapeAfter = async (inputShape?: 'trim' | 'fit') =>
    (await createModelLibrary({ directories: [directory], inputShape }).load(manifest)).manifest.input.resize;
  expect(await shapeAfter()).toMatchObject({ shape: 'fixed' });
  await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('pad_value: 114', 'pad_value: 114, shape: fit'));
  expect(await shapeAfter()).toMatchObject({ shape: 'fit' });
  expect(await shapeAfter('trim')).toMatchObject({ shape: 'trim' });
});
