import type { Box, Point } from './types.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Where a picture lies within a field when it is shown whole, in the middle: `object-fit: contain`. */
export function containedIn(picture: Size, field: Size): Box {
  if (picture.width <= 0 || picture.height <= 0) return { x: 0, y: 0, width: field.width, height: field.height };
  const scale = Math.min(field.width / picture.width, field.height / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  return { x: (field.width - width) / 2, y: (field.height - height) / 2, width, height };
}

/** A point of the field as a fraction of the picture, kept within it. */
export function fractionAt(point: Point, picture: Box): Point {
  const within = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;
  return { x: within((point.x - picture.x) / picture.width), y: within((point.y - picture.y) / picture.height) };
}

export function boxOnPicture(box: Box, picture: Box): Box {
  return {
    x: picture.x + box.x * picture.width,
    y: picture.y + box.y * picture.height,
    width: box.width * picture.width,
    height: box.height * picture.height,
  };
}

export function pointOnPicture(point: Point, picture: Box): Point {
  return { x: picture.x + point.x * picture.width, y: picture.y + point.y * picture.height };
}
