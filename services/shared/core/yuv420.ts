/** Bytes of a picture in YUV 4:2:0: its brightness, and two planes of colour of half the width and height, rounded up. */
export function yuv420Bytes({ widthPx, heightPx }: { readonly widthPx: number; readonly heightPx: number }): number {
  return widthPx * heightPx + 2 * Math.ceil(widthPx / 2) * Math.ceil(heightPx / 2);
}

const { fround } = Math;
const times = (value: number, factor: number): number => fround(value * fround(factor));
/** Half to even, as the processor rounds: singles of this size have no room for a fraction. */
const whole = (value: number): number => fround(Math.min(255, Math.max(0, fround(value))) + 2 ** 23) - 2 ** 23;

/** Red, green and blue, whole numbers of 0..255, of ITU-R BT.601 with limited range (black is 16), in single precision. */
export function rgbOfYuv(y: number, u: number, v: number): [number, number, number] {
  const luma = times(y, 1.164384);
  const red = fround(times(v, 1.596027) + fround(-222.9216));
  const green = fround(fround(fround(135.575296) - times(u, 0.391762)) - times(v, 0.812968));
  const blue = fround(times(u, 2.017232) + fround(-276.83584));
  return [whole(luma + red), whole(luma + green), whole(luma + blue)];
}
