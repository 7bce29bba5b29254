import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { FrameReader, type Planes } from '../../../services/ingest/adapters/ffmpeg/frame-reader.ts';
import type { FrameNote } from '../../../services/ingest/adapters/ffmpeg/stderr-parser.ts';

const pool = createFrameBufferPool({ maxBytes: 0 });

describe('frame reader', () => {
  test('cuts frames of changing size out of bytes that come in any pieces', () => {
    const sizes = fc.array(
      fc.record({ widthPx: fc.integer({ min: 1, max: 9 }), heightPx: fc.integer({ min: 1, max: 9 }) }),
      {
        minLength: 1,
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.integer({ min: 1, max: 70 })), (frames, pieces) => {
        const bytes = Uint8Array.from(
          frames.flatMap((size, index) => new Array<number>(size.widthPx * size.heightPx * 3).fill(index)),
        );
        const notes: FrameNote[] = frames.map((size, index) => ({ ...size, ptsUs: index }));
        const seen: { readonly note: FrameNote; readonly image: Planes }[] = [];
        const reader = new FrameReader({
          nextNote: () => notes.shift(),
          scaledSize: ({ widthPx, heightPx }) => ({ widthPx, heightPx }),
          bytesOf: ({ widthPx, heightPx }) => widthPx * heightPx * 3,
          pool,
          onFrame: (note, image) => {
            seen.push({ note, image });
            return undefined;
          },
        });
        for (let at = 0; at < bytes.length;) {
          const count = Math.min(pieces.next().value as number, bytes.length - at);
          expect(reader.read(bytes, at, count)).toEqual({ kind: 'all' });
          at += count;
        }
        expect(seen.map(({ note }) => note.ptsUs)).toEqual(frames.map((_, index) => index));
        for (const { note, image } of seen) {
          expect(image.data).toHaveLength(note.widthPx * note.heightPx * 3);
          expect(new Set(image.data)).toEqual(new Set([note.ptsUs]));
        }
        expect(reader.discard()).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  test('stops after the frame that its reader has no room for, and says how far it came', () => {
    const room = Promise.withResolvers<void>();
    const reader = new FrameReader({
      nextNote: () => ({ ptsUs: 0, widthPx: 1, heightPx: 1 }),
      scaledSize: () => ({ widthPx: 1, heightPx: 1 }),
      bytesOf: ({ widthPx, heightPx }) => widthPx * heightPx * 3,
      pool,
      onFrame: () => room.promise,
    });
    expect(reader.read(new Uint8Array(7), 0, 7)).toEqual({ kind: 'wait', usedBytes: 3, until: room.promise });
  });

  test('takes nothing of a frame whose note has not come', () => {
    const reader = new FrameReader({
      nextNote: () => undefined,
      scaledSize: () => ({ widthPx: 1, heightPx: 1 }),
      bytesOf: ({ widthPx, heightPx }) => widthPx * heightPx * 3,
      pool,
      onFrame: () => undefined,
    });
    expect(reader.read(new Uint8Array(7), 2, 5)).toEqual({ kind: 'note-missing', usedBytes: 0 });
  });
});
