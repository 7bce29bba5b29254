import type { SizePx } from './inference-geometry.ts';
import { acTable, dcTable, type HuffmanTable } from './jpeg-huffman.ts';
import { inColumns, marker } from './jpeg-tables.ts';
import { jpegReaderWasm } from './jpeg-reader-wasm.ts';
import { loadKernel } from './web-assembly.ts';
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

/** What the kernel has in its memory: coefficients of a row of groups as wide as any, six blocks each; then this, and the planes and the scan behind it. */
const scratchAt = (maxSidePx / 16) * 6 * 64 * 2;
const componentsAt = scratchAt + 128;
const orderAt = componentsAt + 48;
const stepsAt = orderAt + 64;
const codesAt = stepsAt + 4 * 256;
/** A look-up of 1,024 numbers, two lists of 17, 256 symbols; see jpeg-reader.wat. */
const codesBytes = 4608;
const planesAt = codesAt + 8 * codesBytes;

interface Component {
  readonly id: number;
  readonly steps: number;
}

/** A picture of one size in whole groups of blocks, 16 by 16 pixels with their colours: brightness, then the two colours. */
interface Layout extends SizePx {
  readonly columns: number;
  readonly rows: number;
  readonly planesAt: readonly [number, number, number];
  readonly scanAt: number;
}

export function createBaselineJpegReader(): BaselineJpegReader {
  let { run, memory } = loadKernel(jpegReaderWasm, 'read', planesAt);
  let bytes = new Uint8Array(memory.buffer);
  /** Which tables the picture that is read has told, by their numbers. */
  const [toldSteps, toldMeans, toldOthers] = [new Set<number>(), new Set<number>(), new Set<number>()];
  /** Codes that lie in the memory: pictures of one camera after another have the same. */
  let known:
    { readonly segment: Uint8Array; readonly means: readonly number[]; readonly others: readonly number[] } | undefined;
  prepare();

  function prepare(): void {
    bytes = new Uint8Array(memory.buffer);
    inColumns.forEach((place, index) => (bytes[orderAt + index] = place * 2));
    known = undefined;
  }

  function makeRoom(byteLength: number): void {
    if (bytes.length >= byteLength) return;
    ({ run, memory } = loadKernel(jpegReaderWasm, 'read', 2 * byteLength));
    prepare();
  }

  /** Takes the tables of the segments before the scan; gives where the scan begins, or undefined for another kind of picture. */
  function readHead(jpeg: Uint8Array, size: SizePx): number | undefined {
    for (const told of [toldSteps, toldMeans, toldOthers]) told.clear();
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
          if (!readSteps(segment)) return undefined;
          break;
        case marker.dht:
          if (!readCodes(segment)) return undefined;
          break;
        case marker.sof0:
          components = readFrame(segment, size);
          if (components === undefined) return undefined;
          break;
        case marker.sos:
          if (components === undefined || !readScan(segment, components)) return undefined;
          return at;
        default:
          return undefined;
      }
    }
  }

  function readSteps(segment: Uint8Array): boolean {
    if (segment.length % 65 !== 0) return false;
    for (let at = 0; at < segment.length; at += 65) {
      const id = segment[at] ?? 0;
      if (id > 3) return false;
      new Int32Array(memory.buffer, stepsAt + id * 256, 64).set(segment.subarray(at + 1, at + 65));
      toldSteps.add(id);
    }
    return true;
  }

  function readCodes(segment: Uint8Array): boolean {
    if (known === undefined || Buffer.compare(segment, known.segment) !== 0) {
      const [means, others]: [number[], number[]] = [[], []];
      for (let at = 0; at < segment.length;) {
        const kind = segment[at] ?? 0;
        const id = kind & 15;
        const counts = segment.subarray(at + 1, at + 17);
        const symbols = segment.subarray(at + 17, at + 17 + counts.reduce((sum, count) => sum + count, 0));
        const isMeans = kind >> 4 === 0;
        const table = isMeans ? dcTable(counts, symbols) : acTable(counts, symbols);
        if (kind > 0x1f || id > 3 || table === undefined) return false;
        known = undefined;
        writeCodes(table, isMeans ? meansAt(id) : othersAt(id));
        (isMeans ? means : others).push(id);
        at += 17 + symbols.length;
      }
      // A copy: the memory of the picture goes back to whoever gave it.
      known = { segment: new Uint8Array(segment), means, others };
    }
    for (const id of known.means) toldMeans.add(id);
    for (const id of known.others) toldOthers.add(id);
    return true;
  }

  function writeCodes({ lookup, ends, deltas, symbols }: HuffmanTable, at: number): void {
    new Int32Array(memory.buffer, at, 1024).set(lookup);
    new Int32Array(memory.buffer, at + 4096, 17).set(ends);
    new Int32Array(memory.buffer, at + 4164, 17).set(deltas);
    bytes.set(symbols, at + 4232);
  }

  function readScan(segment: Uint8Array, components: readonly Component[]): boolean {
    // Three components, then all coefficients at once and in full precision.
    if (segment.length !== 10 || segment[0] !== 3) return false;
    if (segment[7] !== 0 || segment[8] !== 63 || segment[9] !== 0) return false;
    for (const [index, component] of components.entries()) {
      const tables = segment[2 + 2 * index] ?? 0;
      const [means, others] = [tables >> 4, tables & 15];
      if (segment[1 + 2 * index] !== component.id || !toldSteps.has(component.steps)) return false;
      if (!toldMeans.has(means) || !toldOthers.has(others)) return false;
      new Int32Array(memory.buffer, componentsAt + 16 * index, 4).set([
        0,
        stepsAt + component.steps * 256,
        meansAt(means),
        othersAt(others),
      ]);
    }
    return true;
  }

  /** Takes the bits of the scan without their stuffing, and gives how many they are; undefined unless the picture ends behind them. */
  function unstuff(jpeg: Uint8Array, from: number, scanAt: number): number | undefined {
    let to = scanAt;
    for (let at = from; ;) {
      const next = jpeg.indexOf(0xff, at);
      if (next < 0) return undefined;
      const isStuffed = jpeg[next + 1] === 0;
      const part = jpeg.subarray(at, isStuffed ? next + 1 : next);
      bytes.set(part, to);
      to += part.length;
      at = next + 2;
      if (isStuffed) continue;
      bytes.fill(0, to, to + overhangBytes);
      return jpeg[next + 1] === marker.eoi && at === jpeg.length ? (to - scanAt) * 8 : undefined;
    }
  }

  return {
    read(jpeg, size, take) {
      if (!isSize(size)) return undefined;
      const layout = layoutOf(size);
      makeRoom(layout.scanAt + jpeg.length + overhangBytes);
      const scanFrom = readHead(jpeg, size);
      const bits = scanFrom === undefined ? undefined : unstuff(jpeg, scanFrom, layout.scanAt);
      if (bits === undefined) return undefined;
      const { columns, rows } = layout;
      const isWhole = run(layout.scanAt, bits, columns, rows, componentsAt, orderAt, scratchAt, ...layout.planesAt);
      if (isWhole !== 1) {
        // The kernel counts on zeros where no code tells another number.
        bytes.fill(0, 0, scratchAt);
        return undefined;
      }
      const cutOut = take(yuv420Bytes(size));
      cut(bytes, layout, cutOut);
      return cutOut;
    },
  };
}

function isSize({ widthPx, heightPx }: SizePx): boolean {
  return widthPx >= 1 && heightPx >= 1 && widthPx <= maxSidePx && heightPx <= maxSidePx;
}

function layoutOf({ widthPx, heightPx }: SizePx): Layout {
  const [columns, rows] = [Math.ceil(widthPx / 16), Math.ceil(heightPx / 16)];
  const [luma, colour] = [columns * rows * 256, columns * rows * 64];
  const [u, v] = [planesAt + luma, planesAt + luma + colour];
  return { widthPx, heightPx, columns, rows, planesAt: [planesAt, u, v], scanAt: v + colour };
}

const meansAt = (id: number): number => codesAt + id * codesBytes;
const othersAt = (id: number): number => codesAt + (4 + id) * codesBytes;

/** Of the size that was said, with colours halved both ways. */
function readFrame(segment: Uint8Array, { widthPx, heightPx }: SizePx): Component[] | undefined {
  if (segment.length !== 15 || segment[0] !== 8 || segment[5] !== 3) return undefined;
  if ((((segment[1] ?? 0) << 8) | (segment[2] ?? 0)) !== heightPx) return undefined;
  if ((((segment[3] ?? 0) << 8) | (segment[4] ?? 0)) !== widthPx) return undefined;
  const components: Component[] = [];
  for (const [index, sampling] of [0x22, 0x11, 0x11].entries()) {
    const [id = 0, found, steps = 0] = segment.subarray(6 + 3 * index, 9 + 3 * index);
    // Components of other names are other colours.
    if (found !== sampling || id !== index + 1) return undefined;
    components.push({ id, steps });
  }
  return components;
}

/** From planes of whole groups to those of the picture. */
function cut(bytes: Uint8Array, { widthPx, heightPx, columns, planesAt: from }: Layout, into: Uint8Array): void {
  let to = 0;
  for (const [index, at] of from.entries()) {
    const rowLength = columns * (index === 0 ? 16 : 8);
    const [width, height] = index === 0 ? [widthPx, heightPx] : [Math.ceil(widthPx / 2), Math.ceil(heightPx / 2)];
    if (width === rowLength) into.set(bytes.subarray(at, at + width * height), to);
    else
      for (let row = 0; row < height; row++)
        into.set(bytes.subarray(at + row * rowLength, at + row * rowLength + width), to + row * width);
    to += width * height;
  }
}
