import { describe, expect, test } from 'vitest';
import { FrameOrder } from '../../../services/inference/core/frame-order.ts';

/** Judges frames of one camera as `epoch/number`, at growing offsets of partition 0. */
function judgeAll(order: FrameOrder, frames: readonly string[], firstOffset = 0): string[] {
  return frames.map((text, index) => {
    const [epoch = 0, frameSeq = 0] = text.split('/').map(Number);
    return order.judge({ cameraId: 'a', epoch, frameSeq }, { partition: 0, offset: BigInt(firstOffset + index) });
  });
}

describe('the order of frames', () => {
  test('takes growing numbers, whatever was left out between them, and growing epochs', () => {
    expect(judgeAll(new FrameOrder(), ['3/1', '3/2', '3/9', '7/1'])).toEqual(['next', 'next', 'next', 'next']);
  });

  test('knows a frame that was sent twice', () => {
    expect(judgeAll(new FrameOrder(), ['3/1', '3/2', '3/2', '3/1', '3/3'])).toEqual([
      ...['next', 'next', 'repeat', 'repeat', 'next'],
    ]);
  });

  test('refuses an epoch that another one has followed', () => {
    expect(judgeAll(new FrameOrder(), ['3/1', '7/1', '3/2', '7/2'])).toEqual(['next', 'next', 'stale', 'next']);
  });

  test('comes to the same verdicts when the partition is read again', () => {
    const order = new FrameOrder();
    const frames = ['3/1', '3/2', '3/2', '7/1', '3/3', '7/2'];
    const first = judgeAll(order, frames);
    expect(judgeAll(order, frames.slice(1), 1)).toEqual(first.slice(1));
    expect(judgeAll(order, frames)).toEqual(first);
  });

  test('goes on from what former owners of the partition have committed', () => {
    const order = new FrameOrder();
    order.restart(0, [
      { cameraId: 'a', epoch: 7, frameSeq: 4 },
      { cameraId: 'a', epoch: 7, frameSeq: 3 },
      { cameraId: 'a', epoch: 3, frameSeq: 8 },
    ]);
    expect(judgeAll(order, ['7/4', '3/9', '7/5'], 100)).toEqual(['repeat', 'stale', 'next']);
  });

  test('forgets what it saw of a partition that was lost before it was committed', () => {
    const order = new FrameOrder();
    judgeAll(order, ['3/1', '3/2', '7/1']);
    order.restart(0, [{ cameraId: 'a', epoch: 3, frameSeq: 1 }]);
    expect(judgeAll(order, ['3/2', '7/1'], 1)).toEqual(['next', 'next']);
  });
});
