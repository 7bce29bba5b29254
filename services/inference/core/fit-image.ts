import type { PixelImage, SampledFrame } from '#shared/core/frame';
import { inferenceSize, type InputGeometry, type SizePx } from '#shared/core/inference-geometry';

/**
 * The size that a frame's picture has to have for this input; null where it has it. Ingest scales for one model, and while versions with
 * inputs of two sizes work side by side the other one gets its pictures from here.
 */
export function wantedSize(
  frame: Pick<SampledFrame, 'sourceWidthPx' | 'sourceHeightPx' | 'crop'>,
  image: SizePx,
  input: InputGeometry,
): SizePx | null {
  const { crop } = frame;
  // As ingest cut it out: whole pixels.
  const widthPx = Math.max(1, Math.round(frame.sourceWidthPx * (crop?.width ?? 1)));
  const heightPx = Math.max(1, Math.round(frame.sourceHeightPx * (crop?.height ?? 1)));
  const wanted = inferenceSize(widthPx, heightPx, input);
  const fits = image.widthPx <= input.widthPx && image.heightPx <= input.heightPx;
  const isNear = Math.abs(image.widthPx - wanted.widthPx) <= 1 && Math.abs(image.heightPx - wanted.heightPx) <= 1;
  return fits && isNear ? null : wanted;
}

/** Scales a picture: bilinear where it grows, the mean of what each pixel covers where it shrinks. The result has memory of its own. */
export function scaleImage(image: PixelImage, size: SizePx): PixelImage {
  const from = planesOf(image.format, image);
  const to = planesOf(image.format, size);
  const data = new Uint8Array(to.reduce((sum, { widthPx, heightPx }) => sum + widthPx * heightPx, 0));
  from.forEach((plane, index) => {
    const target = to[index];
    if (target !== undefined) scalePlane(image.data, plane, data, target);
  });
  return { ...image, ...size, data };
}

/** Where the values of one channel lie. */
interface Plane extends SizePx {
  readonly start: number;
  /** From one pixel to the next. */
  readonly step: number;
}

function planesOf(format: PixelImage['format'], { widthPx, heightPx }: SizePx): readonly Plane[] {
  const pixels = widthPx * heightPx;
  switch (format) {
    case 'gbrp':
      return [0, 1, 2].map((index) => ({ widthPx, heightPx, start: index * pixels, step: 1 }));
    case 'rgb24':
      return [0, 1, 2].map((start) => ({ widthPx, heightPx, start, step: 3 }));
    case 'yuv420p': {
      const half = { widthPx: Math.ceil(widthPx / 2), heightPx: Math.ceil(heightPx / 2), step: 1 };
      const u = { ...half, start: pixels };
      return [{ widthPx, heightPx, start: 0, step: 1 }, u, { ...half, start: pixels + half.widthPx * half.heightPx }];
    }
  }
}

function scalePlane(source: Uint8Array, from: Plane, data: Uint8Array, to: Plane): void {
  const columns = spans(from.widthPx, to.widthPx);
  const rows = spans(from.heightPx, to.heightPx);
  const rowLength = from.widthPx * from.step;
  const line = new Float32Array(from.widthPx);
  let target = to.start;
  for (const { first, weights } of rows) {
    line.fill(0);
    weights.forEach((weight, index) => {
      let at = from.start + (first + index) * rowLength;
      for (let x = 0; x < line.length; x++, at += from.step) line[x] = (line[x] ?? 0) + weight * (source[at] ?? 0);
    });
    for (const column of columns) {
      // Whole numbers are cut off, so a half makes it the nearest.
      let sum = 0.5;
      column.weights.forEach((weight, index) => (sum += weight * (line[column.first + index] ?? 0)));
      data[target] = sum;
      target += to.step;
    }
  }
}

interface Span {
  readonly first: number;
  /** Sum to 1. */
  readonly weights: readonly number[];
}

/** For each target pixel the source pixels that it is made of. */
function spans(from: number, to: number): Span[] {
  const scale = from / to;
  const reach = Math.max(1, scale);
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * scale - 0.5;
    const first = Math.max(0, Math.ceil(centre - reach));
    const last = Math.min(from - 1, Math.floor(centre + reach));
    const raw = Array.from({ length: last - first + 1 }, (__, at) =>
      Math.max(0, 1 - Math.abs(first + at - centre) / reach),
    );
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return sum > 0
      ? { first, weights: raw.map((weight) => weight / sum) }
      : { first: Math.min(from - 1, Math.max(0, Math.round(centre))), weights: [1] };
  });
}
