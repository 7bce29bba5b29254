import type { Yuv420Image } from './frame.ts';
import type { SizePx } from './inference-geometry.ts';
import { inColumns, marker, stepsOf, usualCodes, usualMeanCodes, type JpegCodes } from './jpeg-tables.ts';
import { jpegWriterWasm } from './jpeg-writer-wasm.ts';
import { loadKernel } from './web-assembly.ts';
import { yuv420Bytes } from './yuv420.ts';

/** What the kernel has in its memory; jpeg-writer.wat says the same. */
const orderAt = 640;
const reverseOrderAt = 3776;
const componentsAt = 768;
const componentBytes = 272;
const codesAt = componentsAt + 3 * componentBytes;
const meanCodesBytes = 16 * 4;
const codesBytes = 256 * 4;
const planesAt = 4096;
/** No block takes more: 64 coefficients of 16 bits of code and 10 of value, each byte of them stuffed. */
const largestBlockBytes = 416;

/** As many as JPEG can tell. */
const maxSidePx = 65_535;

/** More sizes of pictures at a time are rare. */
const maxHeads = 64;

/** Two colours of half the size both ways beside the brightness. */
const samplings = [0x22, 0x11, 0x11] as const;

/**
 * Makes JPEGs of pictures in YUV 4:2:0, whose planes they have nearly as they are: no pixel is turned into red, green and blue, the range of
 * cameras becomes that of JPEG with the factors that quantise, and nothing is allocated but the result. It keeps its memory, so one serves
 * many pictures. Undefined for bytes that are no picture of the size that was said. `quality` is 50 to 100; the default is for pictures that are
 * looked at and not analysed, where small is more useful than perfect.
 */
export function createBaselineJpegWriter({ quality = 75 } = {}): (
  image: Yuv420Image,
) => Uint8Array<ArrayBuffer> | undefined {
  let kernel = loadKernel(jpegWriterWasm, 'write', planesAt);
  let setFor: boolean | undefined;
  /** By size: cameras of several sizes take turns. */
  const heads = new Map<string, Uint8Array<ArrayBuffer>>();

  function prepare({ isFullRange = false }: Yuv420Image, bytes: number): void {
    const isTooSmall = kernel.memory.buffer.byteLength < bytes;
    if (!isTooSmall && setFor === isFullRange) return;
    if (isTooSmall) kernel = loadKernel(jpegWriterWasm, 'write', bytes);
    writeTables(new DataView(kernel.memory.buffer), quality, isFullRange);
    setFor = isFullRange;
  }

  function headFor(size: SizePx): Uint8Array<ArrayBuffer> {
    const key = `${size.widthPx}x${size.heightPx}`;
    let head = heads.get(key);
    if (head === undefined) {
      head = headOf(size, quality);
      if (heads.size >= maxHeads) heads.clear();
      heads.set(key, head);
    }
    return head;
  }

  return (image) => {
    const { widthPx, heightPx, data } = image;
    // What is missing would be filled up with the picture before, which may be another camera's.
    if (data.byteLength !== yuv420Bytes(image) || !isSize(widthPx) || !isSize(heightPx)) return undefined;
    const blocks = Math.ceil(widthPx / 16) * Math.ceil(heightPx / 16) * 6;
    const scanAt = planesAt + yuv420Bytes(image);
    prepare(image, scanAt + blocks * largestBlockBytes);
    const head = headFor(image);
    const memory = new Uint8Array(kernel.memory.buffer);
    memory.set(data, planesAt);
    const end = kernel.run(planesAt, widthPx, heightPx, componentsAt, scanAt) ?? scanAt;
    const jpeg = new Uint8Array(head.length + end - scanAt + 2);
    jpeg.set(head);
    jpeg.set(memory.subarray(scanAt, end), head.length);
    jpeg.set([0xff, marker.eoi], jpeg.length - 2);
    return jpeg;
  };
}

function isSize(sidePx: number): boolean {
  return Number.isInteger(sidePx) && sidePx >= 1 && sidePx <= maxSidePx;
}

function writeTables(memory: DataView, quality: number, isFullRange: boolean): void {
  inColumns.forEach((place, index) => {
    memory.setUint8(orderAt + index, place * 2);
    memory.setUint8(reverseOrderAt + place, index);
  });
  const codesOf = (index: number): number => codesAt + index * (meanCodesBytes + codesBytes);
  for (const index of [0, 1] as const) {
    writeCodes(memory, codesOf(index), usualMeanCodes[index]);
    writeCodes(memory, codesOf(index) + meanCodesBytes, usualCodes[index]);
  }
  for (const component of samplings.keys()) {
    const isColour = component > 0;
    const at = componentsAt + component * componentBytes;
    const range = isFullRange ? 1 : 255 / (isColour ? 224 : 219);
    stepsOf(quality)[isColour ? 1 : 0].forEach((step, index) => {
      const place = inColumns[index] ?? 0;
      memory.setFloat32(at + place * 4, range / (8 * step * scaleOf(place >> 3) * scaleOf(place & 7)), true);
    });
    // Values of a JPEG are told less 128; before the factor, and 64 of them in a sum.
    const black = isFullRange ? 0 : 16;
    memory.setFloat32(at + 256, 64 * (isColour ? 128 : black + 128 / range), true);
    memory.setUint32(at + 264, codesOf(isColour ? 1 : 0), true);
    memory.setUint32(at + 268, codesOf(isColour ? 1 : 0) + meanCodesBytes, true);
  }
}

/** How much larger the transform leaves a coefficient in one dimension. */
function scaleOf(frequency: number): number {
  return frequency === 0 ? 1 : Math.SQRT2 * Math.cos((frequency * Math.PI) / 16);
}

function writeCodes(memory: DataView, at: number, { lengths, symbols }: JpegCodes): void {
  let [code, index] = [0, 0];
  for (const [lengthLessOne, count] of lengths.entries()) {
    for (const symbol of symbols.subarray(index, index + count))
      memory.setUint32(at + symbol * 4, code++ | ((lengthLessOne + 1) << 16), true);
    index += count;
    code <<= 1;
  }
}

/** All that comes before the blocks. */
function headOf({ widthPx, heightPx }: SizePx, quality: number): Uint8Array<ArrayBuffer> {
  const twoBytes = (value: number): number[] => [value >> 8, value & 255];
  const segment = (kind: number, content: readonly number[]): number[] => [
    ...[0xff, kind, ...twoBytes(content.length + 2)],
    ...content,
  ];
  const codes = (id: number, { lengths, symbols }: JpegCodes): number[] => [id, ...lengths, ...symbols];
  // JFIF 1.1, pixels as wide as high, no thumbnail.
  const jfif = [...Buffer.from('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0];
  return Uint8Array.from([
    ...[0xff, marker.soi],
    ...segment(marker.app0, jfif),
    ...segment(
      marker.dqt,
      stepsOf(quality).flatMap((steps, index) => [index, ...steps]),
    ),
    ...segment(marker.sof0, [
      ...[8, ...twoBytes(heightPx), ...twoBytes(widthPx), samplings.length],
      ...samplings.flatMap((sampling, index) => [index + 1, sampling, Math.min(index, 1)]),
    ]),
    ...segment(
      marker.dht,
      [0, 1].flatMap((index) => [
        ...codes(index, usualMeanCodes[index === 0 ? 0 : 1]),
        ...codes(0x10 + index, usualCodes[index === 0 ? 0 : 1]),
      ]),
    ),
    ...segment(marker.sos, [
      samplings.length,
      ...samplings.flatMap((_, index) => [index + 1, index === 0 ? 0x00 : 0x11]),
      ...[0, 63, 0],
    ]),
  ]);
}
