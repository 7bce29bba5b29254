import { expect, test } from 'vitest';
import type { SampledFrame } from '#shared/core/frame';
import { FramePictures } from '../../../services/control/adapters/kafka/frame-pictures.ts';
import { LiveHub } from '../../../services/control/core/live-hub.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { makeDetectionFrame } from '../../support/result-records.ts';

/** Cameras are on the partition that their name ends with. */
function start() {
  const at = { ms: 0 };
  const hub = new LiveHub(() => at.ms);
  const read = new Map<number, (cameraId: string, frameSeq: number) => boolean>();
  const pictures = new FramePictures({
    hub,
    partitionOf: (cameraId) => Promise.resolve(Number(cameraId.at(-1))),
    follow: (partition, wants, onFrame, signal) => {
      read.set(partition, (cameraId, frameSeq) => {
        if (!wants(cameraId)) return false;
        // Of a frame only its place and its picture are looked at here.
        const image = { format: 'jpeg', widthPx: 1, heightPx: 1, data: Uint8Array.of(frameSeq) };
        const frame = { cameraId, epoch: 1, frameSeq, image } as unknown as SampledFrame;
        onFrame({ key: cameraId, value: frame, offset: 0n, ageMs: 0 });
        return true;
      });
      return new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          read.delete(partition);
          resolve();
        });
      });
    },
    nowMs: () => at.ms,
    logger: silentLogger,
  });
  const result = (camera: string, seq: number) =>
    hub.addResult(makeDetectionFrame({ header: { camera_id: camera, frame_seq: seq } }));
  return { at, hub, pictures, read, result };
}

const limit = AbortSignal.timeout(4_000);

test('nothing is read while nobody looks', async () => {
  const { pictures, read } = start();
  await pictures.look();
  expect(read.size).toBe(0);
});

test('the partition of a camera is read while somebody looks at it, and a little longer', async () => {
  const { at, hub, pictures, read, result } = start();
  const seen = hub.nextPicture('gate-2', limit);
  await pictures.look();
  expect(pictures.partitions).toEqual([2]);
  expect(read.get(2)?.('yard-2', 1)).toBe(false);
  expect(read.get(2)?.('gate-2', 5)).toBe(true);
  result('gate-2', 5);
  expect(await seen).toMatchObject({ jpeg: Uint8Array.of(5), result: { header: { frame_seq: 5 } } });
  at.ms = 5_000;
  await pictures.look();
  expect(read.size).toBe(1);
  at.ms = 5_001;
  await pictures.look();
  expect(read.size).toBe(0);
});

test('a picture that comes after its result is shown with it', async () => {
  const { hub, pictures, read, result } = start();
  const seen = hub.nextPicture('gate-1', limit);
  await pictures.look();
  result('gate-1', 1);
  result('gate-1', 2);
  read.get(1)?.('gate-1', 1);
  expect(await seen).toMatchObject({ jpeg: Uint8Array.of(1), result: { header: { frame_seq: 1 } } });
});

test('two who look at one partition share its reading, and it ends with the close', async () => {
  const { hub, pictures, read } = start();
  const waiting = [
    hub.nextPicture('gate-1', limit),
    hub.nextPicture('yard-1', limit),
    hub.nextPicture('barn-3', limit),
  ];
  await Promise.all([pictures.look(), pictures.look()]);
  expect([...read.keys()]).toEqual([1, 3]);
  await pictures.close();
  expect(read.size).toBe(0);
  expect(waiting).toHaveLength(3);
});

test('who begins to look is told of at once', async () => {
  const { hub } = start();
  let calls = 0;
  hub.onWanted = () => calls++;
  const gone = new AbortController();
  const seen = hub.nextPicture('gate-1', gone.signal);
  expect(calls).toBe(1);
  expect(hub.wantedPictures()).toEqual(['gate-1']);
  gone.abort();
  expect(await seen).toBeUndefined();
  expect(hub.wantedPictures()).toEqual([]);
});
