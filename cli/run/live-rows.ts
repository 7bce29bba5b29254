import type { DetectionFrame } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { CameraSnapshot } from '../../services/ingest/core/camera-supervisor.ts';
import type { LiveRow } from './live-view.ts';

/** Results older than this say nothing about now. */
const rateWindowMs = 5000;

interface Newest {
  objects: Readonly<Record<string, number>>;
  ageMs: number | null;
  /** Monotonic times of the results within the window. */
  readonly resultTimes: number[];
}

/** Keeps of each camera what its line in the live view shows. */
export class LiveRows {
  readonly #clock: Clock;
  readonly #newest = new Map<string, Newest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(record: DetectionFrame): void {
    if (record.decision !== 'ANALYSED') return;
    const id = record.header.camera_id;
    let newest = this.#newest.get(id);
    if (newest === undefined) this.#newest.set(id, (newest = { objects: {}, ageMs: null, resultTimes: [] }));
    newest.objects = countByClass(record);
    // The age of a file's picture is that of the recording: it says nothing about us.
    newest.ageMs =
      record.header.capture_time_source === 'CONTAINER' ? null : (record.timing_ms?.capture_to_result ?? null);
    const nowMs = this.#clock.monotonicMs();
    newest.resultTimes.push(nowMs);
    forgetOld(newest.resultTimes, nowMs);
  }

  rows(cameras: readonly CameraSnapshot[]): readonly LiveRow[] {
    const nowMs = this.#clock.monotonicMs();
    return cameras.map((camera) => {
      const newest = this.#newest.get(camera.id);
      if (newest !== undefined) forgetOld(newest.resultTimes, nowMs);
      return {
        cameraId: camera.id,
        state: camera.state,
        reason: camera.reason === 'NONE' || camera.reason === 'END_OF_STREAM' ? '' : camera.reasonText,
        receivedFps: camera.fps,
        analysedFps: ((newest?.resultTimes.length ?? 0) * 1000) / rateWindowMs,
        ageMs: newest?.ageMs ?? null,
        droppedFrames: Object.values(camera.dropped).reduce((sum, count) => sum + count, 0),
        filteredFrames: camera.filtered,
        objects: newest?.objects ?? {},
        progress: camera.progress,
      };
    });
  }
}

function countByClass(record: DetectionFrame): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { class_name: name } of record.objects) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function forgetOld(times: number[], nowMs: number): void {
  const firstKept = times.findIndex((time) => time > nowMs - rateWindowMs);
  times.splice(0, firstKept === -1 ? times.length : firstKept);
}
