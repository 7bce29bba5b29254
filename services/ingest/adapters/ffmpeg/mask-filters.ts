import type { BoundingBoxRecord } from '#schemas';

/**
 * How much further than the mask each rectangle reaches, in fractions of the whole picture: 3 of the camera's own pixels where it sends 320
 * in a row. Its colours are shared by two pixels already, and a crop begins at a whole one.
 */
const marginShare = 0.01;
/** And in pixels of the scaled picture: its pixels are mixed of neighbours, and so are its colours, of which two pixels have one. */
const marginPx = 2;
/** What detectors fill up pictures with: neither dark nor bright, and no edge in it. */
const maskColour = '0x727272';

/**
 * Filters that paint over rectangles (fractions of the whole picture), for after the scaling, where a picture is small and its own: before
 * it, each would have to be copied from the decoder's, which refers to it later. A scaled picture of `crop` holds that part only.
 */
export function maskFilters(bands: readonly BoundingBoxRecord[], crop: BoundingBoxRecord | null): string[] {
  const shown = crop ?? { x: 0, y: 0, width: 1, height: 1 };
  return bands.flatMap((band) => {
    const across = placed([band.x, band.x + band.width], [shown.x, shown.width]);
    const down = placed([band.y, band.y + band.height], [shown.y, shown.height]);
    if (across === null || down === null) return [];
    const [x, width] = extent('iw', across);
    const [y, height] = extent('ih', down);
    return [`drawbox=x='${x}':y='${y}':w='${width}':h='${height}':color=${maskColour}:t=fill`];
  });
}

/** The part of the shown length that a band covers with its margin; null for none. */
function placed([from, to]: readonly [number, number], [start, length]: readonly [number, number]) {
  const first = Math.max(0, (from - marginShare - start) / length);
  const last = Math.min(1, (to + marginShare - start) / length);
  return first < 1 && last > 0 ? ([first, last] as const) : null;
}

/** Start and length in pixels. A start left of the picture is drawn from its edge on; a length of 0 would mean all of it. */
function extent(of: 'iw' | 'ih', [first, last]: readonly [number, number]): [start: string, length: string] {
  const start = `max(0,floor(${of}*${fixed(first)})-${marginPx})`;
  const length = `min(${of},ceil(${of}*${fixed(last)})+${marginPx})-${start}`;
  return [start.replaceAll(',', '\\,'), length.replaceAll(',', '\\,')];
}

/** Without an exponent, which ffmpeg takes for a unit; far below the margin. */
function fixed(share: number): string {
  return share.toFixed(6);
}
