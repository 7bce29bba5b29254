import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPlaylist, rewritePlaylist } from '../../../../services/ingest/adapters/relay/hls-playlist.ts';
import { PacketCounter } from '../../../../services/ingest/adapters/relay/packet-counter.ts';
import { PictureObserver } from '../../../../services/ingest/adapters/relay/picture-observer.ts';
import { ReorderBuffer } from '../../../../services/ingest/adapters/relay/reorder-buffer.ts';
import { ntpToUnixUs, readRtcp, rtpPayloadOffset } from '../../../../services/ingest/adapters/relay/rtp.ts';

/** SR of 2024-01-01T00:00:00.5Z for RTP timestamp 0xfffffff0, then an SDES, then (sometimes) a BYE. */
const senderReport = Buffer.from('80c80006deadbeef' + 'e93c7f00' + '80000000' + 'fffffff0' + '0000000a00000fff', 'hex');
const description = Buffer.from('81ca0002deadbeef00000000', 'hex');
const goodbye = Buffer.from('81cb0001deadbeef', 'hex');

describe('readRtcp', () => {
  test('reads the sender report of a compound packet', () => {
    const packet = Buffer.concat([senderReport, description]);
    expect(readRtcp(packet, 0, packet.length)).toEqual({
      senderReport: { ntpUs: Date.UTC(2024, 0, 1) * 1000 + 500_000, rtpTimestamp: 0xfffffff0 },
      isGoodbye: false,
    });
  });

  test('sees a goodbye behind other reports', () => {
    const packet = Buffer.concat([senderReport, description, goodbye]);
    expect(readRtcp(packet, 0, packet.length).isGoodbye).toBe(true);
  });

  test('reads any bytes without going past their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => readRtcp(Buffer.from(bytes), 0, bytes.length)).not.toThrow();
      }),
    );
  });
});

describe('ntpToUnixUs', () => {
  test('knows the era that begins in 2036', () => {
    expect(ntpToUnixUs(0xffffffff, 0)).toBe(Date.UTC(2036, 1, 7, 6, 28, 15) * 1000);
    expect(ntpToUnixUs(400 * 86_400, 0)).toBe((Date.UTC(2036, 1, 7, 6, 28, 16) + 400 * 86_400_000) * 1000);
  });

  test('takes a clock that starts at nothing as 1900, so that it shows as absurd', () => {
    expect(ntpToUnixUs(5, 0)).toBeLessThan(0);
  });
});

test('rtpPayloadOffset steps over contributing sources and the header extension', () => {
  const packet = Buffer.alloc(40);
  packet[0] = 0x80 | 0x10 | 2;
  packet.writeUInt16BE(2, 12 + 8 + 2);
  expect(rtpPayloadOffset(packet, 0, 40)).toBe(12 + 8 + 4 + 8);
  packet.writeUInt16BE(0xffff, 12 + 8 + 2);
  expect(rtpPayloadOffset(packet, 0, 40)).toBe(40);
});

describe('PacketCounter', () => {
  const count = (sequences: readonly number[]): PacketCounter => {
    const counter = new PacketCounter();
    for (const sequence of sequences) counter.note(sequence & 0xffff, 10);
    return counter;
  };

  test('counts gaps as lost, over the wrap too', () => {
    expect(count([65_534, 65_535, 65_537, 65_540]).packetsLost).toBe(3);
  });

  test('takes a loss back when the packet comes late', () => {
    expect(count([1, 2, 4, 3, 5]).packetsLost).toBe(0);
  });

  test('takes a large jump for a new start and not for a loss', () => {
    const counter = count([1, 2, 4, 40_000, 40_001]);
    expect(counter.packetsLost).toBe(1);
    expect(counter.lossRatio).toBeCloseTo(1 / 6);
  });
});

describe('ReorderBuffer', () => {
  const run = (
    arrivals: readonly (readonly [sequence: number, atMs: number])[],
    limits = { maxPackets: 8, maxWaitMs: 50 },
  ) => {
    const out: number[] = [];
    const buffer = new ReorderBuffer((packet) => out.push(packet.readUInt16BE(0)), limits);
    for (const [sequence, atMs] of arrivals) {
      const packet = Buffer.alloc(2);
      packet.writeUInt16BE(sequence);
      buffer.push(sequence, packet, atMs);
    }
    return { out, buffer };
  };

  test('puts packets that swapped places back', () => {
    const { out, buffer } = run([1, 3, 2, 4].map((sequence) => [sequence, 0]));
    expect(out).toEqual([1, 2, 3, 4]);
    expect(buffer.packetsReordered).toBe(1);
  });

  test('gives up a missing packet after the wait', () => {
    const { out, buffer } = run([
      [1, 0],
      [3, 0],
    ]);
    buffer.expire(49);
    expect(out).toEqual([1]);
    buffer.expire(50);
    expect(out).toEqual([1, 3]);
  });

  test('gives up a missing packet when too many wait', () => {
    const { out } = run([1, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((sequence) => [sequence, 0]));
    expect(out).toEqual([1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test('throws away repeats and what comes after its turn', () => {
    expect(run([1, 2, 2, 1, 3].map((sequence) => [sequence, 0])).out).toEqual([1, 2, 3]);
  });

  test('goes on with a camera that starts over with other numbers', () => {
    expect(run([1, 2, 30_000, 30_001].map((sequence) => [sequence, 0])).out).toEqual([1, 2, 30_000, 30_001]);
  });

  test('gives every packet once and in order when none travels further than the buffer', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }), fc.nat(65_535), (shifts, start) => {
        const order = shifts
          .map((shift, index) => ({ index, key: index === 0 ? -1 : index + shift }))
          .sort((a, b) => a.key - b.key || b.index - a.index);
        const { out } = run(order.map(({ index }) => [(start + index) & 0xffff, 0]));
        expect(out).toEqual(shifts.map((_, index) => (start + index) & 0xffff));
      }),
    );
  });
});

describe('PictureObserver', () => {
  const packet = (timestamp: number, ...payload: number[]): Buffer => {
    const bytes = Buffer.alloc(12 + payload.length);
    bytes[0] = 0x80;
    bytes.writeUInt32BE(timestamp >>> 0, 4);
    bytes.set(payload, 12);
    return bytes;
  };
  const observe = (codec: 'h264' | 'hevc' | 'mjpeg', packets: readonly Buffer[]) => {
    const observer = new PictureObserver(codec, 90_000);
    for (const bytes of packets) observer.note(bytes, 0, bytes.length);
    return observer.figures;
  };

  test('measures rate and key frame distance of H.264 in single, aggregate and fragment packets', () => {
    const pictures = [
      [packet(0, 0x67), packet(0, 0x65)],
      [packet(9000, 0x41)],
      [packet(18_000, 24, 0, 1, 0x68, 0, 1, 0x65)],
      [packet(27_000, 0x41)],
      [packet(36_000, 28, 0x85), packet(36_000, 28, 0x05)],
    ].flat();
    expect(observe('h264', pictures)).toEqual({ pictures: 5, keyframes: 3, measuredFps: 10, keyframeIntervalMs: 200 });
  });

  test('knows the key frames of H.265', () => {
    const pictures = [packet(0, 19 << 1, 1), packet(9000, 1 << 1, 1), packet(18_000, 49 << 1, 1, 0x80 | 20)];
    expect(observe('hevc', pictures)).toMatchObject({ pictures: 3, keyframes: 2, keyframeIntervalMs: 200 });
  });

  test('measures over the wrap of the timestamp', () => {
    const pictures = [-9000, 0, 9000].map((timestamp) => packet(timestamp, 0));
    expect(observe('mjpeg', pictures)).toMatchObject({ measuredFps: 10, keyframeIntervalMs: 100 });
  });
});

describe('rewritePlaylist', () => {
  test('points absolute references at the relay and foreign ones at nothing', () => {
    const playlist = [
      '#EXTM3U',
      '#EXT-X-KEY:METHOD=AES-128,URI="/key.bin"',
      'seg1.ts',
      '/abs/seg2.ts',
      'http://cam:80/seg3.ts',
      'http://elsewhere/seg4.ts',
      '//elsewhere/seg5.ts',
      'file:///etc/passwd',
    ];
    expect(rewritePlaylist(playlist.join('\n'), 'http://cam:80', '/t').split('\n')).toEqual([
      '#EXTM3U',
      '#EXT-X-KEY:METHOD=AES-128,URI="/t/key.bin"',
      'seg1.ts',
      '/t/abs/seg2.ts',
      '/t/seg3.ts',
      '/t/elsewhere-is-not-allowed',
      '/t/elsewhere-is-not-allowed',
      '/t/elsewhere-is-not-allowed',
    ]);
  });

  test('knows a playlist by type or name', () => {
    expect(isPlaylist('application/vnd.apple.mpegurl', '/x')).toBe(true);
    expect(isPlaylist(undefined, '/x.m3u8?y')).toBe(true);
    expect(isPlaylist('video/mp2t', '/x.ts')).toBe(false);
  });
});
