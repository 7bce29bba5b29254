import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JpegParts } from '../../../services/ingest/adapters/ffmpeg/jpeg-parts.ts';

function part(picture: Uint8Array): Buffer {
  const header = `--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: ${picture.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(header), picture, Buffer.from('\r\n')]);
}

test('pictures come out whole, whatever they hold and however the bytes are cut', () => {
  const pictures = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(pictures, fc.infiniteStream(fc.integer({ min: 1, max: 150 })), (sent, pieces) => {
      const seen: Uint8Array[] = [];
      const parts = new JpegParts((jpeg) => seen.push(jpeg));
      const bytes = Buffer.concat(sent.map(part));
      for (let at = 0; at < bytes.length;) {
        const count = Math.min(pieces.next().value as number, bytes.length - at);
        // The bytes are overwritten afterwards, as those of a pipe are.
        const piece = Buffer.from(bytes.subarray(at, at + count));
        parts.read(piece, 0, count);
        piece.fill(0);
        at += count;
      }
      expect(seen.map((jpeg) => [...jpeg])).toEqual(sent.map((picture) => [...picture]));
    }),
  );
});

test.each(['no header at all'.repeat(100), '--ffmpeg\r\nContent-length: 0\r\n\r\n', '--ffmpeg\r\n\r\n'])(
  'what is no such stream is refused (%#)',
  (text) => {
    const bytes = Buffer.from(text);
    const parts = new JpegParts(() => undefined);
    expect(() => parts.read(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_FFMPEG_FAILED' }),
    );
  },
);
