import type { CameraStatus, ProducerRecord } from '#schemas';
import { messageId } from '#shared/core/message-id';
import type { Placements } from './placement.ts';

export interface UnattendedCamerasOptions {
  readonly placements: Pick<Placements, 'isAttended' | 'ingests'>;
  /** A camera changes hands without anybody having it for a moment; only after so long is it left alone. */
  readonly graceMs: number;
  readonly producer: ProducerRecord;
  readonly nowMs: () => number;
  readonly nowUs: () => number;
}

/** What a camera's ingest said last stays said when that ingest is killed. These stand for themselves: nobody has to read them on. */
const finalStates: ReadonlySet<CameraStatus['state']> = new Set(['REJECTED', 'ENDED']);

const nothingKnown = {
  epoch: 0,
  frame_seq: 0,
  codec: null,
  width_px: null,
  height_px: null,
  declared_fps: null,
  clock_source: 'UNKNOWN',
  reconnect_count: 0,
  last_frame_time: null,
  time_to_first_result_ms: null,
  tags: {},
} as const;

/** Finds cameras that should be read and that no ingest has, and says so in their stead: a dead ingest cannot tell that it is. */
export class UnattendedCameras {
  readonly #options: UnattendedCamerasOptions;
  readonly #sinceMs = new Map<string, number>();
  readonly #told = new Map<string, { readonly reason: string; readonly before: CameraStatus | undefined }>();

  constructor(options: UnattendedCamerasOptions) {
    this.#options = options;
  }

  /** What could be heard is not sure any more: everybody gets the time again. */
  excuse(): void {
    this.#sinceMs.clear();
  }

  /** New statuses for those that have been alone for too long, or are not any more. `enabled`: all cameras that should be read. */
  look(enabled: readonly string[], statusOf: (id: string) => CameraStatus | undefined): readonly CameraStatus[] {
    const { placements, graceMs, nowMs } = this.#options;
    const now = nowMs();
    const ingests = placements.ingests();
    const reason =
      ingests.length === 0
        ? 'no ingest runs: start one, and look at the logs of those that ended'
        : `no ingest has taken the camera, ${ingests.length} run: they may have as many as they take (max_cameras), or were started with other cameras`;
    const found: CameraStatus[] = [];
    const wanted = new Set(enabled);
    for (const id of this.#sinceMs.keys()) if (!wanted.has(id)) this.#forget(id);
    for (const id of enabled) {
      const status = statusOf(id);
      const told = this.#told.get(id);
      if (placements.isAttended(id) || (status !== undefined && finalStates.has(status.state))) {
        // Its ingest lives after all and has nothing new to say: what it said last holds again.
        if (told?.before !== undefined && status?.producer.instance_id === this.#options.producer.instance_id)
          found.push(told.before);
        this.#forget(id);
        continue;
      }
      const sinceMs = this.#sinceMs.get(id) ?? now;
      this.#sinceMs.set(id, sinceMs);
      if (now - sinceMs < graceMs || told?.reason === reason) continue;
      this.#told.set(id, { reason, before: told === undefined ? status : told.before });
      found.push(this.#unattended(id, reason, status));
    }
    return found;
  }

  #forget(id: string): void {
    this.#sinceMs.delete(id);
    this.#told.delete(id);
  }

  #unattended(id: string, reason: string, before: CameraStatus | undefined): CameraStatus {
    const { producer } = this.#options;
    const time = this.#options.nowUs();
    return {
      ...(before ?? nothingKnown),
      message_id: messageId(
        id,
        before?.epoch ?? 0,
        before?.frame_seq ?? 0,
        `unattended/${producer.instance_id}/${time}`,
      ),
      camera_id: id,
      ...{ time, state: 'OFFLINE', previous_state: before?.state ?? 'UNKNOWN', state_since: time },
      ...{ reason_code: 'STOPPED', reason_text: reason },
      ...{ measured_fps: null, next_retry_at: null, backoff_ms: null, producer },
    };
  }
}
