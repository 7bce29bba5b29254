import { expect, it } from 'vitest';
import { murmur2, partitionOfKey } from '../../../services/shared/bus/kafka/murmur2.ts';

// From org.apache.kafka.common.utils.UtilsTest: what the Java client answers.
it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('hashes %s as the Java client does', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
});

it('keeps the partition within the count for keys of any sign', () => {
  for (let index = 0; index < 200; index += 1) {
    const partition = partitionOfKey(`camera-${String(index)}`, 7);
    expect(partition).toBeGreaterThanOrEqual(0);
    expect(partition).toBeLessThan(7);
  }
});
