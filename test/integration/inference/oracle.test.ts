import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Type from 'typebox';
import { Parse } from 'typebox/value';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDetectorSession } from '../../../services/inference/adapters/onnxruntime/detector-session.ts';
import { keypointStride } from '../../../services/inference/core/detections.ts';
import { scoreRules } from '../../../services/inference/core/score-rules.ts';
import { testModelLibrary } from '../../support/models.ts';
import { testDataPath } from '../../support/test-data.ts';

const run = promisify(execFile);
const box = Type.Array(Type.Number(), { minItems: 6, maxItems: 6 });
const oracleSchema = Type.Object({
  model: Type.String(),
  model_sha256: Type.String(),
  cases: Type.Array(
    Type.Object({
      picture: Type.String(),
      second: Type.Union([Type.Null(), Type.Number()]),
      width_px: Type.Integer(),
      height_px: Type.Integer(),
      pixels_sha256: Type.String(),
      boxes: Type.Array(box),
      /** x and y of each keypoint, for each box; of models that have them. */
      points: Type.Optional(Type.Array(Type.Array(Type.Number()))),
    }),
  ),
});

const library = testModelLibrary();

/** The same command as test/support/oracle/detect.py: both sides start from identical pixels. */
async function planarPixels(
  path: string,
  second: number | null,
  widthPx: number,
  heightPx: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const scale = `scale=${widthPx}:${heightPx}:flags=bilinear+accurate_rnd+full_chroma_int+bitexact`;
  const seek = second === null ? [] : ['-ss', second.toFixed(1)];
  const { stdout } = await run(
    'ffmpeg',
    [
      '-v',
      'error',
      ...seek,
      '-i',
      path,
      '-frames:v',
      '1',
      '-vf',
      scale,
      '-f',
      'rawvideo',
      '-pix_fmt',
      'gbrp',
      'pipe:1',
    ],
    { encoding: 'buffer', maxBuffer: 8 * 1024 * 1024 },
  );
  return new Uint8Array(stdout);
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = a;
  const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = b;
  const shared =
    Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared);
}

/** Boxes of `these` without a counterpart in `those`; one within 0.005 of the threshold may be on either side of it. */
function unmatched(
  these: readonly (readonly number[])[],
  those: readonly (readonly number[])[],
  threshold: number,
): readonly (readonly number[])[] {
  return these.filter(
    (each) =>
      Math.abs((each[4] ?? 0) - threshold) > 0.005 &&
      !those.some(
        (other) =>
          other[5] === each[5] && Math.abs((other[4] ?? 0) - (each[4] ?? 0)) <= 0.005 && overlap(each, other) >= 0.99,
      ),
  );
}

describe.skipIf(library === undefined)('boxes against the reference implementation', () => {
  const names = ['yolox_nano', 'picodet_s_320', 'picodet_s_416', 'person_yolox_192', 'fastestdet'];
  for (const name of [...names, 'ultraface_rfb_320', 'yunet']) {
    const oracle = Parse(
      oracleSchema,
      JSON.parse(readFileSync(join(import.meta.dirname, `../../fixtures/oracle/${name}.json`), 'utf8')),
    );

    test(`${name} finds what the reference finds, to an overlap of 0.99 and a score of 0.005`, async ({ skip }) => {
      const model = await library?.load(name);
      if (model === undefined) return;
      expect(model.digest).toBe(oracle.model_sha256);
      const session = await openDetectorSession(model.bytes, model.manifest, scoreRules(model.manifest));
      onTestFinished(() => session.close());

      let compared = 0;
      for (const each of oracle.cases) {
        const path = testDataPath(each.picture);
        if (path === undefined) continue;
        const data = await planarPixels(path, each.second, each.width_px, each.height_px);
        // Another build of ffmpeg may decode or round differently; then the numbers say nothing.
        if (createHash('sha256').update(data).digest('hex') !== each.pixels_sha256) continue;
        const { boxes, keypoints } = await session.detect({
          format: 'gbrp',
          widthPx: each.width_px,
          heightPx: each.height_px,
          data,
        });
        const found = Array.from({ length: boxes.length / 6 }, (_, index) => [
          ...boxes.subarray(index * 6, index * 6 + 6),
        ]);
        const threshold = model.manifest.thresholds.score;
        expect({ picture: each.picture, missed: unmatched(each.boxes, found, threshold) }).toEqual({
          picture: each.picture,
          missed: [],
        });
        expect({ picture: each.picture, invented: unmatched(found, each.boxes, threshold) }).toEqual({
          picture: each.picture,
          invented: [],
        });
        const points = each.points?.flat() ?? [];
        const ours = [...keypoints].filter((_, index) => index % keypointStride !== 2);
        expect(ours).toHaveLength(points.length);
        // Both lists have the surest first, and no two faces of a picture are equally sure.
        for (const [index, value] of points.entries()) expect(Math.abs((ours[index] ?? 0) - value)).toBeLessThan(0.1);
        compared++;
      }
      if (compared === 0) skip('this ffmpeg makes other pixels than the one that the oracle was made with');
      expect(compared).toBe(oracle.cases.length);
    });
  }
});
