import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BoundingBoxRecord, PointRecord } from '#schemas';
import type { InputGeometry } from '#shared/core/inference-geometry';
import { geometry, readFileToEnd, temporaryFolder } from '../../support/ingest-files.ts';

type Polygon = readonly PointRecord[];

const at = (x: number, y: number): PointRecord => ({ x, y });
const slanted = [at(0.313, 0.204), at(0.611, 0.337), at(0.402, 0.718)];
/** A U: what lies between its arms is not hidden. */
const hollow = [
  ...[at(0.55, 0.55), at(0.65, 0.55), at(0.65, 0.85), at(0.85, 0.85)],
  ...[at(0.85, 0.55), at(0.95, 0.55), at(0.95, 0.95), at(0.55, 0.95)],
];
const corner = [at(0, 0), at(0.15, 0), at(0.15, 0.1), at(0, 0.1)];
const all = [slanted, hollow, corner];
const stretched: InputGeometry = { widthPx: 320, heightPx: 320, resize: { mode: 'stretch' } };

function isInside(polygons: readonly Polygon[], x: number, y: number): boolean {
  return polygons.some((polygon) => {
    let inside = false;
    for (const [index, one] of polygon.entries()) {
      const other = polygon.at(index - 1) ?? one;
      if (one.y > y !== other.y > y && x < ((other.x - one.x) * (y - one.y)) / (other.y - one.y) + one.x)
        inside = !inside;
    }
    return inside;
  });
}

/** A lossless clip of two pictures full of edges; in the second all pixels under the polygons are the other way round. */
function clipOf(folder: string, width: number, height: number): string {
  const size = width * height;
  const pictures = Buffer.alloc(size * 6);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const flip = isInside(all, (column + 0.5) / width, (row + 0.5) / height) ? 255 : 0;
      for (let plane = 0; plane < 3; plane++) {
        const value = ((column * 7) ^ (row * 13) ^ (plane * 85)) & 255;
        const place = plane * size + row * width + column;
        pictures[place] = value;
        pictures[3 * size + place] = value ^ flip;
      }
    }
  }
  const path = join(folder, 'clip.mkv');
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv444p', '-s', `${width}x${height}`, '-r', '5', '-i', 'pipe:0'];
  // Cameras send 4:2:0; odd sizes there are only in 4:4:4.
  const format = width % 2 === 0 && height % 2 === 0 ? 'yuv420p' : 'yuv444p';
  const made = spawnSync('ffmpeg', ['-v', 'error', '-y', ...raw, '-pix_fmt', format, '-c:v', 'ffv1', path], {
    input: pictures,
  });
  expect(made.status, made.stderr.toString()).toBe(0);
  return path;
}

describe('masks on a real decode', () => {
  const whole = null;
  test.each<[string, number, number, InputGeometry, BoundingBoxRecord | null]>([
    ['a common size', 1280, 720, geometry, whole],
    ['an odd size', 641, 361, geometry, whole],
    ['a size that is stretched', 640, 480, stretched, whole],
    ['a small picture that is enlarged', 320, 240, geometry, whole],
    ['a part of the picture', 640, 480, geometry, { x: 0.31, y: 0.17, width: 0.57, height: 0.66 }],
  ])('leave no trace of what is under them: %s', async (_, width, height, input, crop) => {
    const clip = clipOf(await temporaryFolder(), width, height);
    const read = async (masks: readonly Polygon[]): Promise<readonly [Uint8Array, Uint8Array]> => {
      const options = { geometry: () => input };
      const { pictures } = await readFileToEnd(clip, { masks, ...(crop === null ? {} : { crop }) }, options);
      const [one, other, ...more] = pictures.map(({ image }) => image.data);
      if (one === undefined || other === undefined || more.length > 0) throw new Error('not two pictures');
      return [one, other];
    };

    const [plain, secret] = await read(all);
    const [bare, bareSecret] = await read([]);

    expect(Buffer.compare(secret, plain)).toBe(0);
    expect(Buffer.compare(bareSecret, bare)).not.toBe(0);
    // The masks take 14 % of the picture and twice that of the part; what they cover beyond that is bounded.
    const changed = plain.filter((value, index) => value !== bare[index]).length / plain.length;
    expect(changed).toBeGreaterThan(0.1);
    expect(changed).toBeLessThan(crop === null ? 0.3 : 0.45);
  });
});
