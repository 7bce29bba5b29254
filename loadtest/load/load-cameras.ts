/** A process of the load test: cameras whose frames go straight to the frames topic, with nothing decoded. Ends with what it has sent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#shared/runtime/system-clock';
import type { SampledFrame } from '#shared/core/frame';
import { inferenceSize } from '#shared/core/inference-geometry';
import { connect, type LoadMeeting } from './load-connection.ts';
import { simulatedInput } from './simulated-engine.ts';

const { meeting, cameras, fps, frameBytes, deadlineMs } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly meeting: LoadMeeting;
  readonly cameras: number;
  readonly fps: number;
  readonly frameBytes: number;
  readonly deadlineMs: number | null;
};
const connection = await connect(meeting);
await connection.serdes.register();
const { bus, topics } = connection;
const [sourceWidthPx, sourceHeightPx] = [1920, 1080];
const pictureSize = inferenceSize(sourceWidthPx, sourceHeightPx, simulatedInput);
const stopping = new AbortController();
const lastSent: Record<string, number> = {};

function frameOf(cameraId: string, frameSeq: number, since: number): SampledFrame {
  const nowUs = systemClock.nowUs();
  const dropped = since - 1;
  return {
    cameraId,
    epoch: 1,
    frameSeq,
    fate: 'analyse',
    times: {
      captureTimeUs: nowUs,
      captureTimeSource: 'ARRIVAL',
      captureTimeErrorMs: null,
      ingestTimeUs: nowUs,
      ptsUs: null,
    },
    sourceWidthPx,
    sourceHeightPx,
    image: { format: 'jpeg', ...pictureSize, data: pictureOf(cameraId, frameSeq) },
    motion: null,
    accounting: {
      frames_received: since,
      frames_analysed: 1,
      frames_filtered: 0,
      frames_dropped_ingest: dropped,
      frames_dropped_deadline: 0,
      frames_failed: 0,
      drops_by_reason: dropped > 0 ? { bus_unavailable: dropped } : {},
      decode_errors: 0,
      target_fps: fps,
      effective_fps: fps,
      load_state: 'NORMAL',
    },
    deadlineMs: deadlineMs === null ? null : systemClock.monotonicMs() + deadlineMs,
    tags: {},
  };
}

/** No two are the same, as with real cameras: equal ones would be known from before. */
function pictureOf(cameraId: string, frameSeq: number): Uint8Array {
  const picture = new Uint8Array(frameBytes).fill(7);
  new TextEncoder().encodeInto(`${cameraId} ${String(frameSeq)} `, picture);
  return picture;
}

/** One frame at a time, as ingest has it: frames that fall due while one is on its way are dropped, and the next record says so. */
async function camera(index: number): Promise<void> {
  const cameraId = `load-${String(index)}`;
  const startMs = performance.now() + (1_000 / fps) * Math.random();
  let sent = 0;
  const isStopping = (): boolean => stopping.signal.aborted;
  while (!isStopping()) {
    const due = Math.max(sent, Math.floor(((performance.now() - startMs) * fps) / 1_000)) + 1;
    const waitMs = startMs + ((due - 1) * 1_000) / fps - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    if (isStopping()) break;
    const frame = frameOf(cameraId, due, due - sent);
    // What has been tried once may be on the broker: it is sent until that is known.
    for (;;) {
      try {
        await bus.publish(topics.frames, { key: cameraId, value: frame });
        break;
      } catch {
        await sleep(100);
      }
    }
    sent = due;
    lastSent[cameraId] = sent;
  }
}

process.once('SIGTERM', () => stopping.abort());
process.stdout.write('ready\n');
await Promise.all(Array.from({ length: cameras }, (_, index) => camera(index)));
process.stdout.write(`${JSON.stringify(lastSent)}\n`);
await connection.close();
process.exit(0);
