/**
 * From the coefficients of a block to its 64 values: the inverse discrete cosine transform of Loeffler, Ligtenberg and Moschytz (1989) in
 * whole numbers, first columns, then rows.
 */
const constantBits = 13;
/** Bits behind the point that the columns leave to the rows. */
const columnBits = 2;
const columnShift = constantBits - columnBits;
const columnHalf = 1 << (columnShift - 1);
/** The transform of two dimensions is eight times too large. */
const rowShift = constantBits + columnBits + 3;
/** Half of one for rounding, and the 128 that values are told less than. */
const rowOffset = (1 << (rowShift - 1)) + (128 << rowShift);

/** Its constants times 2 ** 13, called by their value in thousandths. */
const [k0298, k0390, k0541, k0765, k0899, k1175] = [2446, 3196, 4433, 6270, 7373, 9633];
const [k1501, k1847, k1961, k2053, k2562, k3072] = [12_299, 15_137, 16_069, 16_819, 20_995, 25_172];
const { imul } = Math;

/** `last`: the place, in the order in which they are told, of the last coefficient that is not zero. Leaves the block zeroed. */
export function inverseTransform(
  block: Int32Array,
  last: number,
  columns: Int32Array,
  target: Uint8Array,
  to: number,
  rowLength: number,
): void {
  if (last === 0) {
    const value = held((((block[0] ?? 0) + 4) >> 3) + 128);
    block[0] = 0;
    for (let row = 0; row < 8; row++) target.fill(value, to + row * rowLength, to + row * rowLength + 8);
    return;
  }
  for (let at = 0; at < 8; at++) {
    const b0 = block[at] ?? 0;
    const b1 = block[at + 8] ?? 0;
    const b2 = block[at + 16] ?? 0;
    const b3 = block[at + 24] ?? 0;
    const b4 = block[at + 32] ?? 0;
    const b5 = block[at + 40] ?? 0;
    const b6 = block[at + 48] ?? 0;
    const b7 = block[at + 56] ?? 0;
    if ((b1 | b2 | b3 | b4 | b5 | b6 | b7) === 0) {
      const value = b0 << columnBits;
      columns[at] = value;
      columns[at + 8] = value;
      columns[at + 16] = value;
      columns[at + 24] = value;
      columns[at + 32] = value;
      columns[at + 40] = value;
      columns[at + 48] = value;
      columns[at + 56] = value;
      continue;
    }
    const turn = imul(b2 + b6, k0541);
    const e2 = turn - imul(b6, k1847);
    const e3 = turn + imul(b2, k0765);
    const e0 = ((b0 + b4) << constantBits) + columnHalf;
    const e1 = ((b0 - b4) << constantBits) + columnHalf;
    const s5 = imul(b7 + b3 + b5 + b1, k1175);
    const s1 = -imul(b7 + b1, k0899);
    const s2 = -imul(b5 + b3, k2562);
    const s3 = s5 - imul(b7 + b3, k1961);
    const s4 = s5 - imul(b5 + b1, k0390);
    const o0 = imul(b7, k0298) + s1 + s3;
    const o1 = imul(b5, k2053) + s2 + s4;
    const o2 = imul(b3, k3072) + s2 + s3;
    const o3 = imul(b1, k1501) + s1 + s4;
    columns[at] = (e0 + e3 + o3) >> columnShift;
    columns[at + 56] = (e0 + e3 - o3) >> columnShift;
    columns[at + 8] = (e1 + e2 + o2) >> columnShift;
    columns[at + 48] = (e1 + e2 - o2) >> columnShift;
    columns[at + 16] = (e1 - e2 + o1) >> columnShift;
    columns[at + 40] = (e1 - e2 - o1) >> columnShift;
    columns[at + 24] = (e0 - e3 + o0) >> columnShift;
    columns[at + 32] = (e0 - e3 - o0) >> columnShift;
  }
  block.fill(0);
  for (let at = 0; at < 64; at += 8, to += rowLength) {
    const b0 = columns[at] ?? 0;
    const b1 = columns[at + 1] ?? 0;
    const b2 = columns[at + 2] ?? 0;
    const b3 = columns[at + 3] ?? 0;
    const b4 = columns[at + 4] ?? 0;
    const b5 = columns[at + 5] ?? 0;
    const b6 = columns[at + 6] ?? 0;
    const b7 = columns[at + 7] ?? 0;
    const turn = imul(b2 + b6, k0541);
    const e2 = turn - imul(b6, k1847);
    const e3 = turn + imul(b2, k0765);
    const e0 = ((b0 + b4) << constantBits) + rowOffset;
    const e1 = ((b0 - b4) << constantBits) + rowOffset;
    const s5 = imul(b7 + b3 + b5 + b1, k1175);
    const s1 = -imul(b7 + b1, k0899);
    const s2 = -imul(b5 + b3, k2562);
    const s3 = s5 - imul(b7 + b3, k1961);
    const s4 = s5 - imul(b5 + b1, k0390);
    const o0 = imul(b7, k0298) + s1 + s3;
    const o1 = imul(b5, k2053) + s2 + s4;
    const o2 = imul(b3, k3072) + s2 + s3;
    const o3 = imul(b1, k1501) + s1 + s4;
    target[to] = held((e0 + e3 + o3) >> rowShift);
    target[to + 7] = held((e0 + e3 - o3) >> rowShift);
    target[to + 1] = held((e1 + e2 + o2) >> rowShift);
    target[to + 6] = held((e1 + e2 - o2) >> rowShift);
    target[to + 2] = held((e1 - e2 + o1) >> rowShift);
    target[to + 5] = held((e1 - e2 - o1) >> rowShift);
    target[to + 3] = held((e0 - e3 + o0) >> rowShift);
    target[to + 4] = held((e0 - e3 - o0) >> rowShift);
  }
}

function held(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
