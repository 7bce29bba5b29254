/** Longer codes than this are looked up one length after the other; they are seldom. */
export const lookupBits = 10;

export interface HuffmanTable {
  /**
   * By the next `lookupBits` bits; 0 where they do not tell. For DC: bits of the code (5 bits), above them how many bits of the value follow. For
   * AC: bits to pass over (5 bits), coefficients to pass over (7 bits; 64 ends the block), above them the value.
   */
  readonly lookup: Int32Array;
  /** For each length of a code the first number, left-aligned in 16 bits, that is too large for it. */
  readonly ends: Int32Array;
  /** For each length: index of a symbol less its code. */
  readonly deltas: Int32Array;
  readonly symbols: Uint8Array;
}

/** Undefined for counts that are no table of codes. */
function baseTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (counts.length !== 16 || total !== symbols.length || total > 256) return undefined;
  const [ends, deltas] = [new Int32Array(17), new Int32Array(17)];
  let [code, index] = [0, 0];
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1] ?? 0;
    deltas[length] = index - code;
    code += count;
    index += count;
    if (code > 1 << length) return undefined;
    ends[length] = code << (16 - length);
    code <<= 1;
  }
  return { lookup: new Int32Array(1 << lookupBits), ends, deltas, symbols };
}

/** Calls back for each run of table entries that share a code: its first entry, how many, the code's length, its symbol. */
function eachShortCode(
  { symbols }: HuffmanTable,
  counts: Uint8Array,
  fill: (first: number, count: number, length: number, symbol: number) => void,
): void {
  let [code, index] = [0, 0];
  for (let length = 1; length <= lookupBits; length++) {
    const spread = 1 << (lookupBits - length);
    for (let count = counts[length - 1] ?? 0; count > 0; count--)
      fill(code++ * spread, spread, length, symbols[index++] ?? 0);
    code <<= 1;
  }
}

export function dcTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable | undefined {
  const table = baseTable(counts, symbols);
  // Differences of 8 bit pictures have at most 11 bits.
  if (table === undefined || symbols.some((symbol) => symbol > 11)) return undefined;
  eachShortCode(table, counts, (first, count, length, symbol) => {
    table.lookup.fill((symbol << 5) | length, first, first + count);
  });
  return table;
}

export function acTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable | undefined {
  const table = baseTable(counts, symbols);
  if (table === undefined) return undefined;
  const { lookup } = table;
  eachShortCode(table, counts, (first, count, length, symbol) => {
    const valueBits = symbol & 15;
    const run = symbol >> 4;
    if (valueBits === 0) {
      // Sixteen zeros, or the end of the block.
      lookup.fill(((run === 15 ? 15 : 64) << 5) | length, first, first + count);
      return;
    }
    const rest = lookupBits - length - valueBits;
    if (rest < 0) return;
    const same = 1 << rest;
    for (let bits = 0; bits < 1 << valueBits; bits++) {
      const value = bits >= 1 << (valueBits - 1) ? bits : bits - (1 << valueBits) + 1;
      const from = first + bits * same;
      lookup.fill((value << 12) | (run << 5) | (length + valueBits), from, from + same);
    }
  });
  return table;
}
