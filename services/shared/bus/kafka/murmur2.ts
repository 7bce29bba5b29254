/**
 * Kafka's own key hash, as the Java client computes it, so that a record of a camera lands in the same partition whoever wrote it.
 * 32-bit arithmetic throughout: the sign matters.
 */
export function murmur2(data: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  const length = data.length;
  let hash = 0x9747b28c ^ length;
  let index = 0;
  for (; index + 4 <= length; index += 4) {
    let word = at(data, index) | (at(data, index + 1) << 8) | (at(data, index + 2) << 16) | (at(data, index + 3) << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> 24;
    word = Math.imul(word, multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = length - index;
  if (rest === 3) hash ^= at(data, index + 2) << 16;
  if (rest >= 2) hash ^= at(data, index + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ at(data, index), multiplier);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return (hash ^ (hash >>> 15)) | 0;
}

function at(data: Uint8Array, index: number): number {
  return data[index] ?? 0;
}

/** The partition of a key, as every stock client chooses it. */
export function partitionOfKey(key: string, partitionCount: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitionCount;
}
