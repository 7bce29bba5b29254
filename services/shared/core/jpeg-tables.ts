/** What the standard of JPEG (ITU-T T.81) fixes, and what it proposes. */

/** The order in which the coefficients of a block are told, as places in its rows. */
// prettier-ignore
const inRows = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);

/** The same as places in its columns, as the transforms take them. */
export const inColumns = inRows.map((place) => ((place & 7) << 3) | (place >> 3));

export const marker = {
  ...{ sof0: 0xc0, dht: 0xc4, soi: 0xd8, eoi: 0xd9, sos: 0xda, dqt: 0xdb, dri: 0xdd, app0: 0xe0, com: 0xfe },
};

/** Steps of brightness and of colours at quality 50 (Annex K.1), in the order above. */
// prettier-ignore
const usualSteps = [
  Uint8Array.of(
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
  ),
  Uint8Array.of(
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  ),
] as const;

/** Steps of brightness and of colours at a quality of 50 to 100, by the rule of the library of the Independent JPEG Group that all follow. */
export function stepsOf(quality: number): readonly [Uint8Array, Uint8Array] {
  const scaled = (step: number): number => Math.max(1, Math.floor((step * (200 - 2 * quality) + 50) / 100));
  return [usualSteps[0].map(scaled), usualSteps[1].map(scaled)];
}

/** Codes: how many there are of each length from 1 bit on, and what they stand for. */
export interface JpegCodes {
  readonly lengths: Uint8Array;
  readonly symbols: Uint8Array;
}

const ofHex = (...lines: readonly string[]): Uint8Array => Uint8Array.from(Buffer.from(lines.join(''), 'hex'));

/** Codes for the means of blocks, of brightness and of colours, that suit most pictures (Annex K.3). */
export const usualMeanCodes: readonly [JpegCodes, JpegCodes] = [
  {
    lengths: ofHex('00010501010101010100000000000000'),
    symbols: ofHex('000102030405060708090a0b'),
  },
  {
    lengths: ofHex('00030101010101010101010000000000'),
    symbols: ofHex('000102030405060708090a0b'),
  },
];

/** The same for all other coefficients. */
export const usualCodes: readonly [JpegCodes, JpegCodes] = [
  {
    lengths: ofHex('0002010303020403050504040000017d'),
    symbols: ofHex(
      '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43444546474849',
      '4a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5',
      'c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
    ),
  },
  {
    lengths: ofHex('00020102040403040705040400010277'),
    symbols: ofHex(
      '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748',
      '494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3',
      'c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
    ),
  },
];
