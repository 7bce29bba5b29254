import { describe, expect, it } from 'vitest';
import { parseLiveMessage } from '../../../web/src/core/live-message.ts';

function message(json: string, jpeg: readonly number[], claimed = Buffer.byteLength(json)): ArrayBuffer {
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(4 + text.length + jpeg.length);
  new DataView(bytes.buffer).setUint32(0, claimed);
  bytes.set(text, 4);
  bytes.set(jpeg, 4 + text.length);
  return bytes.buffer;
}

describe('a message of the live socket', () => {
  it('gives the result and the picture of the same frame', () => {
    const parsed = parseLiveMessage(message('{"a":"ä"}', [0xff, 0xd8]));
    expect(parsed?.json).toEqual({ a: 'ä' });
    expect([...(parsed?.jpeg ?? [])]).toEqual([0xff, 0xd8]);
  });

  it.each([
    ['is too short for a length', new ArrayBuffer(3)],
    ['claims more JSON than there is', message('{}', [], 4_000_000_000)],
    ['holds no JSON', message('nothing', [1])],
  ])('is passed over when it %s', (_case, data) => {
    expect(parseLiveMessage(data)).toBeUndefined();
  });
});
