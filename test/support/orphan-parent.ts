/**
 * A process for the orphan test to kill: reads the file named on its command line as a camera, prints the process id of its ffmpeg once the
 * first frame came, and from then on does as it was told: `reading` takes frames, `blocked` takes none.
 */
import { readFileSync } from 'node:fs';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { systemClock } from '#shared/runtime/system-clock';
import { createFfmpegSources } from '../../services/ingest/adapters/ffmpeg/ffmpeg-frame-source.ts';
import { createCameraSpec } from '../../services/ingest/core/camera-spec.ts';
import { silentLogger } from './ingest-doubles.ts';

const [mode, url] = process.argv.slice(2);
const openSource = await createFfmpegSources({
  ffmpegPath: 'ffmpeg',
  geometry: () => ({
    widthPx: 416,
    heightPx: 416,
    resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
  }),
  pool: createFrameBufferPool({ maxBytes: 1 << 24 }),
  clock: systemClock,
  logger: silentLogger,
});
let isTold = false;
// The process must stay while it waits for nothing but the test's kill.
setInterval(() => undefined, 60_000);
await openSource(createCameraSpec({ id: 'orphan', url: url ?? '', realtime: mode === 'reading' })).run(
  {
    facts: () => undefined,
    decodeErrors: () => undefined,
    frame: () => {
      if (!isTold) {
        isTold = true;
        const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim();
        process.stdout.write(`${children}\n`);
      }
      return mode === 'blocked' ? new Promise(() => undefined) : undefined;
    },
  },
  new AbortController().signal,
);
