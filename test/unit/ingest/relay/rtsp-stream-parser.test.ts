import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  defaultParserLimits,
  RtspStreamParser,
  type ParserLimits,
} from '../../../../services/ingest/adapters/relay/rtsp-stream-parser.ts';

const greeting = Buffer.from('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n');

function frame(channel: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + payload.length);
  bytes[0] = 0x24;
  bytes[1] = channel;
  bytes.writeUInt16BE(payload.length, 2);
  bytes.set(payload, 4);
  return bytes;
}

/** What comes out, in order: frames as hex, messages as start line and body. */
function parse(
  chunks: readonly Buffer[],
  limits: ParserLimits = defaultParserLimits,
): { out: string[]; skipped: number } {
  const out: string[] = [];
  const parser = new RtspStreamParser(
    {
      onFrame: (bytes, start, end) => out.push(bytes.toString('hex', start, end)),
      onMessage: (message) => out.push(`${message.startLine}|${message.body}`),
      onReadEnd: () => {},
    },
    limits,
  );
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  return { out, skipped: parser.bytesSkipped };
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}

/** RTP as far as resynchronisation looks at it. */
const rtpPayload = fc.uint8Array({ minLength: 12, maxLength: 300 }).map((bytes) => {
  bytes[0] = 0x80;
  return bytes;
});

describe('RtspStreamParser', () => {
  test('gives the same frames and messages however the bytes are cut', () => {
    const piece = fc.oneof(
      fc.tuple(fc.nat(3), fc.uint8Array({ maxLength: 400 })).map(([channel, payload]) => frame(channel, payload)),
      fc
        .string({ unit: fc.constantFrom('a', '$', '\r', '\n', ' '), maxLength: 30 })
        .map((body) => Buffer.from(`RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: ${body.length}\r\n\r\n${body}`)),
      fc.constant(Buffer.from('OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n')),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(10_000), { maxLength: 30 }), (pieces, cuts) => {
        const all = Buffer.concat([greeting, ...pieces]);
        const whole = parse([all]);
        expect(whole.out).toHaveLength(pieces.length + 1);
        expect(whole.skipped).toBe(0);
        expect(parse(cut(all, cuts))).toEqual(whole);
      }),
    );
  });

  test('finds the next packet after bytes that make no sense, however they are cut', () => {
    fc.assert(
      fc.property(rtpPayload, fc.array(fc.nat(200), { maxLength: 8 }), (payload, cuts) => {
        const good = frame(0, payload);
        const all = Buffer.concat([greeting, good, Buffer.from('\x00\x01garbage without order'), good, good]);
        const { out, skipped } = parse(cut(all, cuts));
        expect(out.slice(1)).toEqual([good, good, good].map((bytes) => bytes.toString('hex')));
        expect(skipped).toBe(23);
      }),
    );
  });

  test('hands on a frame where it lies when it was read whole', () => {
    const chunk = Buffer.concat([greeting, frame(0, Buffer.alloc(20, 0x80))]);
    let seen: Buffer | undefined;
    const parser = new RtspStreamParser({
      onFrame: (bytes) => {
        seen = bytes;
      },
      onMessage: () => {},
      onReadEnd: () => {},
    });
    parser.push(chunk);
    expect(seen).toBe(chunk);
  });

  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'speaks HTTP'],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 'does not speak RTSP'],
    ['packets before any answer', '$\0\0\x04abcd', 'does not speak RTSP'],
    ['a head without end', `RTSP/1.0 200 OK\r\nX: ${'a'.repeat(20_000)}`, 'headers are longer'],
    ['a body of 1 GB', 'RTSP/1.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n', 'body is longer|not a number'],
    ['a negative length', 'RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n', 'not a number'],
    ['many headers', `RTSP/1.0 200 OK\r\n${'A: b\r\n'.repeat(500)}\r\n`, 'too many headers'],
  ])('refuses %s', (_what, text, message) => {
    expect(() => parse([Buffer.from(text, 'latin1')])).toThrow(new RegExp(message));
  });

  test('gives up on a camera that sends nothing but garbage', () => {
    const garbage = Buffer.alloc(64 * 1024, 0x55);
    expect(() => parse([greeting, ...Array<Buffer>(5).fill(garbage)])).toThrow(/make no sense/);
  });

  test('survives any bytes with nothing worse than a protocol error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        try {
          parse([greeting, ...chunks.map((chunk) => Buffer.from(chunk))]);
        } catch (error) {
          expect(error).toMatchObject({ code: 'SIGHTLINE_CAMERA_PROTOCOL' });
        }
      }),
    );
  });
});
