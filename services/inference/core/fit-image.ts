import type { PixelImage, SampledFrame } from '#shared/core/frame';
import { inferenceSize, type InputGeometry, type RectanglePx, type SizePx } from '#shared/core/inference-geometry';
import { boundingSize } from '#shared/core/input-shape';

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
  const most = boundingSize(widthPx, heightPx, input);
  const fits = image.widthPx <= most.widthPx && image.heightPx <= most.heightPx;
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

/** A part of a picture with memory of its own. Of a `yuv420p` picture its left and top edge lie on even pixels. */
export function cutImage(image: PixelImage, part: RectanglePx): PixelImage {
  const { widthPx, heightPx } = part;
  const from = planesOf(image.format, image);
  const to = planesOf(image.format, { widthPx, heightPx });
  const data = new Uint8Array(to.reduce((sum, plane) => sum + plane.widthPx * plane.heightPx, 0));
  from.forEach((plane, index) => {
    const target = to[index];
    // Channels that lie side by side are copied with the first of them.
    if (target === undefined || (plane.step > 1 && index > 0)) return;
    // Planes of colour have half the size.
    const share = plane.widthPx === image.widthPx ? 1 : 2;
    const rowBytes = plane.widthPx * plane.step;
    let source = plane.start + Math.floor(part.yPx / share) * rowBytes + Math.floor(part.xPx / share) * plane.step;
    let at = target.start;
    for (let row = 0; row < target.heightPx; row++, source += rowBytes, at += target.widthPx * target.step)
      data.set(image.data.subarray(source, source + target.widthPx * target.step), at);
  });
  return { ...image, widthPx, heightPx, data };
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

/** Weights are whole numbers: a value of 8 bits times two weights still fits 31. */
const weightBits = 11;
const unit = 1 << weightBits;

/** Rows first, then columns, in whole numbers over flat tables: this runs for every frame of a camera whose pictures are made for another model. */
function scalePlane(source: Uint8Array, from: Plane, data: Uint8Array, to: Plane): void {
  const columns = spansOf(from.widthPx, to.widthPx);
  const rows = spansOf(from.heightPx, to.heightPx);
  const rowLength = from.widthPx * from.step;
  const line = new Int32Array(from.widthPx);
  let target = to.start;
  for (let y = 0; y < to.heightPx; y++) {
    line.fill(0);
    for (let tap = 0; tap < rows.taps; tap++) {
      const weight = rows.weights[y * rows.taps + tap] ?? 0;
      if (weight === 0) continue;
      let at = from.start + ((rows.first[y] ?? 0) + tap) * rowLength;
      for (let x = 0; x < line.length; x++, at += from.step)
        line[x] = ((line[x] ?? 0) + Math.imul(weight, source[at] ?? 0)) | 0;
    }
    let weightAt = 0;
    for (let x = 0; x < to.widthPx; x++, target += to.step) {
      // The rest is cut off, so a half makes it the nearest.
      let sum = 1 << (2 * weightBits - 1);
      let at = columns.first[x] ?? 0;
      for (let tap = 0; tap < columns.taps; tap++, at++, weightAt++)
        sum = (sum + Math.imul(columns.weights[weightAt] ?? 0, line[at] ?? 0)) | 0;
      data[target] = sum >>> (2 * weightBits);
    }
  }
}

/** For each target pixel the source pixels that it is made of: `taps` of them from `first` on, with weights that sum to `unit`. */
interface Spans {
  readonly taps: number;
  readonly first: Int32Array;
  readonly weights: Int32Array;
}

/** One size for each camera and model at work, twice for colours in half size; more than these few are rare and made anew. */
const maxKeptSpans = 32;
const keptSpans = new Map<string, Spans>();

function spansOf(from: number, to: number): Spans {
  const key = `${from}/${to}`;
  let spans = keptSpans.get(key);
  if (spans === undefined) {
    spans = makeSpans(from, to);
    if (keptSpans.size >= maxKeptSpans) keptSpans.clear();
    keptSpans.set(key, spans);
  }
  return spans;
}

function makeSpans(from: number, to: number): Spans {
  const scale = from / to;
  const reach = Math.max(1, scale);
  const taps = Math.min(from, Math.floor(2 * reach) + 1);
  const spans = { taps, first: new Int32Array(to), weights: new Int32Array(to * taps) };
  for (let index = 0; index < to; index++) {
    const centre = (index + 0.5) * scale - 0.5;
    const first = Math.min(from - taps, Math.max(0, Math.ceil(centre - reach)));
    spans.first[index] = first;
    const raw = Array.from({ length: taps }, (_, at) => Math.max(0, 1 - Math.abs(first + at - centre) / reach));
    const sum = raw.reduce((total, weight) => total + weight, 0);
    const whole = raw.map((weight) => Math.round((weight / sum) * unit));
    // What rounding gave or took goes to the nearest pixel, so that a plain surface stays what it is.
    const nearest = whole.indexOf(Math.max(...whole));
    whole[nearest] = (whole[nearest] ?? 0) + unit - whole.reduce((total, weight) => total + weight, 0);
    spans.weights.set(whole, index * taps);
  }
  return spans;
}
