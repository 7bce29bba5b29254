import type { BoundingBoxRecord } from '../../../schemas/index.ts';
import { boundingSize, inputSizeFor, type ResizeRule, type SizePx } from './input-shape.ts';

export type { SizePx } from './input-shape.ts';

/** The part of a model's input that decides sizes. */
export interface InputGeometry {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly resize: ResizeRule;
}

export interface RectanglePx extends SizePx {
  readonly xPx: number;
  readonly yPx: number;
}

/** Corners of a box in pixels of the model's input. */
export interface InputBox {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/**
 * The exact size that a picture has to be scaled to before it is handed to inference.
 *
 * Letterbox: the side that fills the input has the input's size; the other is `floor(source * input / filling source side)`, at least 1,
 * in integers. The reference code of YOLOX computes `int(w * min(W/w, H/h))` in floating point and loses a row or column where that falls
 * just below a whole number (int(575.9999999) for 576); the integer rule has no such cases and is the same in any language, for ffmpeg:
 * `w='if(gte(iw*H,ih*W),W,max(1,floor(iw*H/ih)))'`, `h='if(gte(iw*H,ih*W),max(1,floor(ih*W/iw)),H)'`. With the shape `fit` the
 * picture fills its `boundingSize` in place of the input.
 * Boxes are mapped back by the size that the picture really had, so rounding moves none.
 */
export function inferenceSize(sourceWidthPx: number, sourceHeightPx: number, input: InputGeometry): SizePx {
  if (input.resize.mode === 'stretch') return { widthPx: input.widthPx, heightPx: input.heightPx };
  const { widthPx, heightPx } = boundingSize(sourceWidthPx, sourceHeightPx, input);
  if (sourceWidthPx * heightPx >= sourceHeightPx * widthPx) {
    return { widthPx, heightPx: Math.max(1, Math.floor((sourceHeightPx * widthPx) / sourceWidthPx)) };
  }
  return { widthPx: Math.max(1, Math.floor((sourceWidthPx * heightPx) / sourceHeightPx)), heightPx };
}

/** Where in the model's input a picture of this size lies. */
export function placeImage(image: SizePx, input: InputGeometry): RectanglePx {
  if (input.resize.mode === 'stretch' || input.resize.anchor === 'top_left') return { xPx: 0, yPx: 0, ...image };
  const { widthPx, heightPx } = inputSizeFor(image, input);
  return {
    xPx: Math.floor((widthPx - image.widthPx) / 2),
    yPx: Math.floor((heightPx - image.heightPx) / 2),
    ...image,
  };
}

/** A region of interest in whole pixels of the source, as ingest cuts it out before scaling: never empty, never outside the picture. */
export function cropRectangle(sourceWidthPx: number, sourceHeightPx: number, region: BoundingBoxRecord): RectanglePx {
  const xPx = clamp(Math.floor(region.x * sourceWidthPx), 0, sourceWidthPx - 1);
  const yPx = clamp(Math.floor(region.y * sourceHeightPx), 0, sourceHeightPx - 1);
  return {
    xPx,
    yPx,
    widthPx: clamp(Math.ceil((region.x + region.width) * sourceWidthPx) - xPx, 1, sourceWidthPx - xPx),
    heightPx: clamp(Math.ceil((region.y + region.height) * sourceHeightPx) - yPx, 1, sourceHeightPx - yPx),
  };
}

/** The same rectangle as fractions of the source, exact to the pixel that was cut: what a frame carries as its `crop`. */
export function cropFractions(crop: RectanglePx, sourceWidthPx: number, sourceHeightPx: number): BoundingBoxRecord {
  return {
    x: crop.xPx / sourceWidthPx,
    y: crop.yPx / sourceHeightPx,
    width: crop.widthPx / sourceWidthPx,
    height: crop.heightPx / sourceHeightPx,
  };
}

/**
 * A box of the model's input as fractions of the source picture, clipped to what the model saw; null where nothing of it lies inside.
 * `placed` is where the picture lay in the input, `crop` the part of the source that it showed (null: all of it).
 */
export function toPictureBox(
  box: InputBox,
  placed: RectanglePx,
  crop: BoundingBoxRecord | null,
): BoundingBoxRecord | null {
  const left = clamp((box.x1 - placed.xPx) / placed.widthPx, 0, 1);
  const top = clamp((box.y1 - placed.yPx) / placed.heightPx, 0, 1);
  const right = clamp((box.x2 - placed.xPx) / placed.widthPx, 0, 1);
  const bottom = clamp((box.y2 - placed.yPx) / placed.heightPx, 0, 1);
  // Written so that a NaN fails it too.
  if (!(right > left && bottom > top)) return null;
  if (crop === null) return { x: left, y: top, width: right - left, height: bottom - top };
  return {
    x: crop.x + left * crop.width,
    y: crop.y + top * crop.height,
    width: (right - left) * crop.width,
    height: (bottom - top) * crop.height,
  };
}

/** A point of the model's input as fractions of the source picture; not clipped, since a part of an object may lie outside. */
export function toPicturePoint(
  point: { readonly x: number; readonly y: number },
  placed: RectanglePx,
  crop: BoundingBoxRecord | null,
): { readonly x: number; readonly y: number } {
  const x = (point.x - placed.xPx) / placed.widthPx;
  const y = (point.y - placed.yPx) / placed.heightPx;
  return crop === null ? { x, y } : { x: crop.x + x * crop.width, y: crop.y + y * crop.height };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
