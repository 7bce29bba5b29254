import { readdirSync, readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { demoSceneClip } from '../../support/demo-scene-clip.ts';
import { accountingGaps, ingestHarness } from '../../support/ingest-doubles.ts';
import { openSources, until } from '../../support/ingest-files.ts';

/** More turns by hand: with more than 20, memory and open files are printed. */
const turns = Number(process.env['SIGHTLINE_TEST_TURNS'] ?? 4);

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

function children(): string[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);
}

test.skipIf(process.platform !== 'linux')(
  'cameras come and go under real ffmpeg: every frame is told of, one that stays is not disturbed, nothing is left behind',
  { timeout: 30_000 + turns * 3_000 },
  async () => {
    const url = await demoSceneClip();
    const camera = (id: string, fps = 10) => createCameraSpec({ id, url, fps, loop: true });
    const run = ingestHarness({
      cameras: [],
      endsWithCameras: false,
      openSource: await openSources(),
      clock: systemClock,
    });
    onTestFinished(() => run.service.close());
    await run.service.start();
    const framesOf = (id: string, epoch: number): number =>
      run.frames.filter((frame) => frame.cameraId === id && frame.epoch === epoch).length;
    const received = async (id: string, epoch: number): Promise<void> =>
      until(
        () => framesOf(id, epoch) >= 2,
        () => `${framesOf(id, epoch)} frames of ${id} in epoch ${epoch}`,
      );

    await run.service.put(camera('stays'));
    await received('stays', 1);
    const before = { files: openFiles(), children: children().length };
    const rssMb: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      await run.service.put(camera('comes', 10));
      await received('comes', 2 * turn + 1);
      await run.service.put(camera('comes', 5));
      await received('comes', 2 * turn + 2);
      await run.service.remove('comes');
      rssMb.push(process.memoryUsage.rss() / 2 ** 20);
    }
    expect(run.service.cameras()).toMatchObject([{ id: 'stays', state: 'ONLINE', epoch: 1, reconnects: 0 }]);
    await until(
      () => openFiles() <= before.files && children().length <= before.children,
      () => `${openFiles()} files and ${children().length} children, ${JSON.stringify(before)} before`,
    );
    await run.service.drain();

    expect(accountingGaps(run.frames)).toEqual([]);
    // A closed epoch says how many frames it had, and the records tell of just as many.
    for (const { camera_id: id, epoch, frame_seq: size } of run.statuses.filter(({ state }) => state === 'ENDED')) {
      const last = run.frames.filter((frame) => frame.cameraId === id && frame.epoch === epoch).at(-1);
      expect({ id, epoch, frames: last?.frameSeq }).toEqual({ id, epoch, frames: size });
    }
    const figures = { turns, rssMb: [rssMb[10], rssMb.at(-1)], files: openFiles(), before };
    if (turns > 20)
      process.stderr.write(`${JSON.stringify(figures)}
`);
  },
);
