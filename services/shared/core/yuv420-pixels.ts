import type { Yuv420Image } from './frame.ts';
import { fullRange, limitedRange, type YuvMatrix } from './yuv420.ts';

/** Fractions have 16 bits: sums stay below 2^31, and no value differs by more than 1 from `rgbOfYuv`. */
const fractionBits = 16;
const scaled = (factor: number): number => Math.round(factor * 2 ** fractionBits);
const byLevel = (factor: number, zero: number): Int32Array =>
  Int32Array.from({ length: 256 }, (_, level) => scaled((level - zero) * factor));

const half = 2 ** (fractionBits - 1);

function tablesOf({ luma, redOfV, greenOfU, greenOfV, blueOfU }: YuvMatrix, black: number) {
  return {
    lumas: byLevel(luma, black).map((value) => value + half),
    redsOfV: byLevel(redOfV, 128),
    greensOfU: byLevel(greenOfU, 128),
    greensOfV: byLevel(greenOfV, 128),
    bluesOfU: byLevel(blueOfU, 128),
  };
}

const limited = tablesOf(limitedRange, 16);
const full = tablesOf(fullRange, 0);

/** Red, green and blue of each pixel: for people to look at, a tenth of the time that the exact rule takes. */
export function rgbPixels({ data, widthPx, heightPx, isFullRange }: Yuv420Image): Uint8ClampedArray<ArrayBuffer> {
  const { lumas, redsOfV, greensOfU, greensOfV, bluesOfU } = isFullRange === true ? full : limited;
  const rgb = new Uint8ClampedArray(widthPx * heightPx * 3);
  const colourWidth = (widthPx + 1) >> 1;
  const uFrom = widthPx * heightPx;
  const vFrom = uFrom + colourWidth * ((heightPx + 1) >> 1);
  let to = 0;
  for (let row = 0; row < heightPx; row++) {
    const rowFrom = row * widthPx;
    const colourFrom = (row >> 1) * colourWidth;
    for (let column = 0; column < widthPx; column += 2) {
      const at = colourFrom + (column >> 1);
      const u = data[uFrom + at] ?? 0;
      const v = data[vFrom + at] ?? 0;
      const red = redsOfV[v] ?? 0;
      const green = (greensOfU[u] ?? 0) + (greensOfV[v] ?? 0);
      const blue = bluesOfU[u] ?? 0;
      const first = lumas[data[rowFrom + column] ?? 0] ?? 0;
      rgb[to] = (first + red) >> fractionBits;
      rgb[to + 1] = (first - green) >> fractionBits;
      rgb[to + 2] = (first + blue) >> fractionBits;
      // The last colour of an odd row stands for one pixel: the next row writes over what is one too many, and past the end nothing is kept.
      const second = lumas[data[rowFrom + column + 1] ?? 0] ?? 0;
      rgb[to + 3] = (second + red) >> fractionBits;
      rgb[to + 4] = (second - green) >> fractionBits;
      rgb[to + 5] = (second + blue) >> fractionBits;
      to += 6;
    }
    to = (row + 1) * widthPx * 3;
  }
  return rgb;
}
