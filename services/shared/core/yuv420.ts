/** Bytes of a picture in YUV 4:2:0: its brightness, and two planes of colour of half the width and height, rounded up. */
export function yuv420Bytes({ widthPx, heightPx }: { readonly widthPx: number; readonly heightPx: number }): number {
  return widthPx * heightPx + 2 * Math.ceil(widthPx / 2) * Math.ceil(heightPx / 2);
}

/** How brightness Y and colours U, V become red, green and blue: factors, and sums of all that does not depend on them. */
export interface YuvMatrix {
  readonly luma: number;
  readonly redOfV: number;
  readonly red: number;
  readonly greenOfU: number;
  readonly greenOfV: number;
  readonly green: number;
  readonly blueOfU: number;
  readonly blue: number;
}

/** ITU-R BT.601 as cameras send it: black is 16, white 235. */
export const limitedRange: YuvMatrix = {
  ...{ luma: 1.164384, redOfV: 1.596027, red: -222.9216 },
  ...{ greenOfU: 0.391762, greenOfV: 0.812968, green: 135.575296, blueOfU: 2.017232, blue: -276.83584 },
};

/** The same as JPEG has it: black is 0, white 255. */
export const fullRange: YuvMatrix = {
  ...{ luma: 1, redOfV: 1.402, red: -179.456 },
  ...{ greenOfU: 0.344136, greenOfV: 0.714136, green: 135.458816, blueOfU: 1.772, blue: -226.816 },
};

const { fround } = Math;
const times = (value: number, factor: number): number => fround(value * fround(factor));
/** Half to even, as the processor rounds: singles of this size have no room for a fraction. */
const whole = (value: number): number => fround(Math.min(255, Math.max(0, fround(value))) + 2 ** 23) - 2 ** 23;

/** Red, green and blue, whole numbers of 0..255, in single precision. */
export function rgbOfYuv(y: number, u: number, v: number, matrix = limitedRange): [number, number, number] {
  const luma = times(y, matrix.luma);
  const red = fround(times(v, matrix.redOfV) + fround(matrix.red));
  const green = fround(fround(fround(matrix.green) - times(u, matrix.greenOfU)) - times(v, matrix.greenOfV));
  const blue = fround(times(u, matrix.blueOfU) + fround(matrix.blue));
  return [whole(luma + red), whole(luma + green), whole(luma + blue)];
}
