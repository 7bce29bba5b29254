import type { SizePx } from './inference-geometry.ts';
import { acTable, dcTable, lookupBits, symbolEnd, type HuffmanTable } from './jpeg-huffman.ts';
import { inColumns, marker } from './jpeg-tables.ts';
import { jpegTransformWasm } from './jpeg-transform-wasm.ts';
import { loadKernel, type Kernel } from './web-assembly.ts';
import { yuv420Bytes } from './yuv420.ts';

export type TakeBytes = (byteLength: number) => Uint8Array<ArrayBuffer>;

/** Reads the plain kind of JPEG that ingest makes. It keeps its tables and scratch memory, so one serves many pictures, one at a time. */
export interface BaselineJpegReader {
  /**
   * Brightness and colours (YUV 4:2:0, full range) in memory that `take` gives for so many bytes. Undefined for every picture that is not whole, of
   * this size and of the plain kind (baseline, three components in one scan, colours halved both ways): a complete decoder has to say what it is.
   */
  read(jpeg: Uint8Array, size: SizePx, take: TakeBytes): Uint8Array<ArrayBuffer> | undefined;
}

/** A block that begins within the scan reads at most this far beyond its end. */
const overhangBytes = 512;
/** The scratch memory of larger ones would be kept for good. */
const maxSidePx = 2048;
/** Coefficients times their step beyond this are no picture's. */
const maxCoefficient = 32_767;

interface Component {
  readonly id: number;
  readonly quantisation: number;
  dc: HuffmanTable | undefined;
  ac: HuffmanTable | undefined;
  predicted: number;
}

/** What a picture of one size is put together in. */
interface Canvas extends SizePx {
  /** Groups of blocks: 16 by 16 pixels with their colours. */
  readonly columns: number;
  readonly rows: number;
  readonly transform: Kernel;
  /** Of one row of groups, six blocks each. */
  readonly coefficients: Int16Array;
  /** Whole groups; brightness, then the two colours. */
  readonly planes: readonly [Uint8Array, Uint8Array, Uint8Array];
}

const groupCoefficients = 6 * 64;
/** Where a row of groups as wide as any has ended; the transform keeps a block there in between. */
const scratchAt = (maxSidePx / 16) * groupCoefficients * 2;
const planesAt = scratchAt + 128;

export function createBaselineJpegReader(): BaselineJpegReader {
  const quantisations: (Int32Array | undefined)[] = [];
  const dcTables: (HuffmanTable | undefined)[] = [];
  const acTables: (HuffmanTable | undefined)[] = [];
  /** Codes that were read last: pictures of one camera after another have the same. */
  let known: { readonly segment: Uint8Array; readonly dc: typeof dcTables; readonly ac: typeof acTables } | undefined;
  let scan = new DataView(new ArrayBuffer(64 * 1024));
  let bytes = new Uint8Array(scan.buffer);
  let scanBits = 0;
  const canvasOf = createCanvases();

  /** Tables of the segments before the scan; where the scan begins, or undefined for another kind of picture. */
  function readHead(
    jpeg: Uint8Array,
    size: SizePx,
  ): { readonly components: Component[]; readonly at: number } | undefined {
    quantisations.length = dcTables.length = acTables.length = 0;
    let components: Component[] | undefined;
    if (jpeg[0] !== 0xff || jpeg[1] !== marker.soi) return undefined;
    for (let at = 2; ;) {
      const kind = jpeg[at + 1] ?? 0;
      const length = ((jpeg[at + 2] ?? 0) << 8) | (jpeg[at + 3] ?? 0);
      const [from, end] = [at + 4, at + 2 + length];
      if (jpeg[at] !== 0xff || length < 2 || end > jpeg.length) return undefined;
      const segment = jpeg.subarray(from, end);
      at = end;
      switch (kind) {
        case marker.app0:
        case marker.com:
          break;
        case marker.dqt:
          if (!readQuantisations(segment)) return undefined;
          break;
        case marker.dht:
          if (!readHuffmanTables(segment)) return undefined;
          break;
        case marker.sof0:
          components = readFrame(segment, size);
          if (components === undefined) return undefined;
          break;
        case marker.sos:
          if (components === undefined || !readScan(segment, components)) return undefined;
          return { components, at };
        default:
          return undefined;
      }
    }
  }

  function readQuantisations(segment: Uint8Array): boolean {
    if (segment.length % 65 !== 0) return false;
    for (let at = 0; at < segment.length; at += 65) {
      const id = segment[at] ?? 0;
      if (id > 3) return false;
      quantisations[id] = Int32Array.from(segment.subarray(at + 1, at + 65));
    }
    return true;
  }

  function readHuffmanTables(given: Uint8Array): boolean {
    if (known !== undefined && Buffer.compare(given, known.segment) === 0) {
      // Tables that an earlier segment had stay.
      Object.assign(dcTables, known.dc);
      Object.assign(acTables, known.ac);
      return true;
    }
    // Tables keep symbols of it, and the memory of the picture goes back to whoever gave it.
    const segment = new Uint8Array(given);
    const [dc, ac]: [typeof dcTables, typeof acTables] = [[], []];
    for (let at = 0; at < segment.length;) {
      const kind = segment[at] ?? 0;
      const id = kind & 15;
      const counts = segment.subarray(at + 1, at + 17);
      const symbols = segment.subarray(at + 17, at + 17 + counts.reduce((sum, count) => sum + count, 0));
      const table = kind >> 4 === 0 ? dcTable(counts, symbols) : acTable(counts, symbols);
      if (kind > 0x1f || id > 3 || table === undefined) return false;
      (kind >> 4 === 0 ? dc : ac)[id] = table;
      at += 17 + symbols.length;
    }
    Object.assign(dcTables, dc);
    Object.assign(acTables, ac);
    known = { segment, dc, ac };
    return true;
  }

  function readScan(segment: Uint8Array, components: readonly Component[]): boolean {
    // Three components, then all coefficients at once and in full precision.
    if (segment.length !== 10 || segment[0] !== 3) return false;
    if (segment[7] !== 0 || segment[8] !== 63 || segment[9] !== 0) return false;
    for (const [index, component] of components.entries()) {
      const tables = segment[2 + 2 * index] ?? 0;
      component.dc = dcTables[tables >> 4];
      component.ac = acTables[tables & 15];
      if (segment[1 + 2 * index] !== component.id || component.dc === undefined || component.ac === undefined)
        return false;
    }
    return true;
  }

  /** Takes the bits of the scan without their stuffing; false unless the picture ends behind them. */
  function unstuff(jpeg: Uint8Array, from: number): boolean {
    if (bytes.length < jpeg.length - from + overhangBytes) {
      bytes = new Uint8Array(2 * (jpeg.length - from) + overhangBytes);
      scan = new DataView(bytes.buffer);
    }
    let to = 0;
    for (let at = from; ;) {
      const next = jpeg.indexOf(0xff, at);
      if (next < 0) return false;
      const isStuffed = jpeg[next + 1] === 0;
      const part = jpeg.subarray(at, isStuffed ? next + 1 : next);
      bytes.set(part, to);
      to += part.length;
      at = next + 2;
      if (isStuffed) continue;
      bytes.fill(0, to, to + overhangBytes);
      scanBits = to * 8;
      return jpeg[next + 1] === marker.eoi && at === jpeg.length;
    }
  }

  /** All blocks, left to right and top to bottom; false where the bits do not come out even. */
  function readBlocks(
    components: readonly Component[],
    { columns, rows, transform, coefficients, planes }: Canvas,
  ): boolean {
    const [luma, u, v] = components;
    if (luma === undefined || u === undefined || v === undefined) return false;
    const [yTo, uTo, vTo] = planes.map(({ byteOffset }) => byteOffset);
    const [yRow, colourRow] = [columns * 16, columns * 8];
    let position = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = column * groupCoefficients;
        for (let block = 0; block < 4; block++) position = readBlock(luma, position, coefficients, at + 64 * block);
        position = readBlock(u, position, coefficients, at + 256);
        position = readBlock(v, position, coefficients, at + 320);
      }
      if (position > scanBits) return false;
      const [y, colour] = [row * 16 * yRow, row * 8 * colourRow];
      transform(0, scratchAt, columns, (yTo ?? 0) + y, yRow, (uTo ?? 0) + colour, (vTo ?? 0) + colour, colourRow);
    }
    return scanBits - position < 8;
  }

  /** The coefficients of one block, told from bit `position` on; gives where the next one begins, and Infinity for bits that are none. */
  function readBlock(component: Component, position: number, coefficients: Int16Array, to: number): number {
    const quantisation = quantisations[component.quantisation];
    const { dc, ac } = component;
    if (dc === undefined || ac === undefined || quantisation === undefined || position > scanBits) return Infinity;
    const fast = ac.lookup;

    let window = scan.getUint32(position >> 3) << (position & 7);
    const found = dc.lookup[window >>> (32 - lookupBits)] ?? 0;
    const entry = found === 0 ? symbolEnd(dc, window) : found;
    if (entry === 0) return Infinity;
    position += entry & 31;
    const dcBits = entry >> 5;
    if (dcBits > 0) {
      window = scan.getUint32(position >> 3) << (position & 7);
      component.predicted += signed(window, dcBits);
      position += dcBits;
    }
    let largest = component.predicted * (quantisation[0] ?? 0);
    coefficients[to] = largest;
    if (largest < 0) largest = -largest;

    for (let index = 1; index < 64; index++) {
      window = scan.getUint32(position >> 3) << (position & 7);
      const known = fast[window >>> (32 - lookupBits)] ?? 0;
      let value: number;
      if (known !== 0) {
        index += (known >> 5) & 127;
        position += known & 31;
        value = known >> 12;
      } else {
        const slow = symbolEnd(ac, window);
        if (slow === 0) return Infinity;
        position += slow & 31;
        const symbol = slow >> 5;
        const valueBits = symbol & 15;
        if (valueBits === 0) {
          // The end of the block, or sixteen zeros.
          index += symbol === 0xf0 ? 15 : 64;
          value = 0;
        } else {
          index += symbol >> 4;
          window = scan.getUint32(position >> 3) << (position & 7);
          value = signed(window, valueBits);
          position += valueBits;
        }
      }
      if (index > 63) {
        if (value !== 0 || index < 64) return Infinity;
        break;
      }
      const product = value * (quantisation[index] ?? 0);
      coefficients[to + (inColumns[index] ?? 0)] = product;
      largest |= product < 0 ? -product : product;
    }
    return largest > maxCoefficient ? Infinity : position;
  }

  return {
    read(jpeg, size, take) {
      const head = readHead(jpeg, size);
      if (head === undefined) return undefined;
      if (!unstuff(jpeg, head.at)) return undefined;
      const canvas = canvasOf(size);
      if (!readBlocks(head.components, canvas)) {
        canvas.coefficients.fill(0);
        return undefined;
      }
      const cutOut = take(yuv420Bytes(size));
      cut(canvas, cutOut);
      return cutOut;
    },
  };
}

/** Canvases on one memory: cameras of several sizes may take turns. */
function createCanvases(): (size: SizePx) => Canvas {
  let kernel = loadKernel(jpegTransformWasm, 'groups', planesAt);
  let canvas: Canvas | undefined;
  return ({ widthPx, heightPx }) => {
    if (canvas?.widthPx === widthPx && canvas.heightPx === heightPx) return canvas;
    const [columns, rows] = [Math.ceil(widthPx / 16), Math.ceil(heightPx / 16)];
    const [luma, colour] = [columns * rows * 256, columns * rows * 64];
    const bytes = planesAt + luma + 2 * colour;
    if (kernel.memory.buffer.byteLength < bytes) kernel = loadKernel(jpegTransformWasm, 'groups', bytes);
    const { run, memory } = kernel;
    canvas = {
      ...{ widthPx, heightPx, columns, rows, transform: run },
      coefficients: new Int16Array(memory.buffer, 0, columns * groupCoefficients),
      planes: [
        new Uint8Array(memory.buffer, planesAt, luma),
        new Uint8Array(memory.buffer, planesAt + luma, colour),
        new Uint8Array(memory.buffer, planesAt + luma + colour, colour),
      ],
    };
    return canvas;
  };
}

/** Of the size that was said, with colours halved both ways. */
function readFrame(segment: Uint8Array, { widthPx, heightPx }: SizePx): Component[] | undefined {
  if (segment.length !== 15 || segment[0] !== 8 || segment[5] !== 3) return undefined;
  if ((((segment[1] ?? 0) << 8) | (segment[2] ?? 0)) !== heightPx) return undefined;
  if ((((segment[3] ?? 0) << 8) | (segment[4] ?? 0)) !== widthPx) return undefined;
  if (widthPx < 1 || heightPx < 1 || widthPx > maxSidePx || heightPx > maxSidePx) return undefined;
  const components: Component[] = [];
  for (const [index, sampling] of [0x22, 0x11, 0x11].entries()) {
    const [id = 0, found, quantisation = 0] = segment.subarray(6 + 3 * index, 9 + 3 * index);
    // Components of other names are other colours.
    if (found !== sampling || id !== index + 1) return undefined;
    components.push({ id, quantisation, dc: undefined, ac: undefined, predicted: 0 });
  }
  return components;
}

/** The number that the first bits of the window stand for: without a leading one it is negative. */
function signed(window: number, bits: number): number {
  const value = window >>> (32 - bits);
  return window < 0 ? value : value - (2 ** bits - 1);
}

/** From planes of whole groups to those of the picture. */
function cut({ widthPx, heightPx, columns, planes }: Canvas, into: Uint8Array): void {
  let to = 0;
  for (const [index, plane] of planes.entries()) {
    const rowLength = columns * (index === 0 ? 16 : 8);
    const [width, height] = index === 0 ? [widthPx, heightPx] : [Math.ceil(widthPx / 2), Math.ceil(heightPx / 2)];
    if (width === rowLength) into.set(plane.subarray(0, width * height), to);
    else
      for (let row = 0; row < height; row++)
        into.set(plane.subarray(row * rowLength, row * rowLength + width), to + row * width);
    to += width * height;
  }
}
