import type { CameraState, CameraStatus, CaptureTimeSource, ProducerRecord, ReasonCode } from '#schemas';
import { messageId } from '#shared/core/message-id';
import type { StreamFacts } from './ports.ts';

/** What CameraStatus tells besides the state; the supervisor keeps it up to date. */
export interface CameraFigures {
  readonly epoch: number;
  readonly frameSeq: number;
  readonly facts: StreamFacts | null;
  readonly measuredFps: number | null;
  readonly clockSource: CaptureTimeSource;
  readonly reconnectCount: number;
  readonly lastFrameTimeUs: number | null;
  readonly timeToFirstFrameMs: number | null;
}

export interface CameraChange {
  readonly state: CameraState;
  readonly reason: ReasonCode;
  readonly text: string;
  /** Only where another attempt is planned. */
  readonly retryAtUs?: number;
  readonly backoffMs?: number;
}

export interface CameraIdentity {
  readonly cameraId: string;
  readonly producer: ProducerRecord;
  readonly tags: Readonly<Record<string, string>>;
}

/** From which state which may follow; anything else is a fault of ours. UNKNOWN is the state before the first. */
const successors: Readonly<Record<CameraState, readonly CameraState[]>> = {
  UNKNOWN: ['CONNECTING', 'REJECTED', 'ENDED'],
  CONNECTING: ['ONLINE', 'OFFLINE', 'ENDED', 'REJECTED'],
  ONLINE: ['DEGRADED', 'OFFLINE', 'ENDED', 'REJECTED'],
  DEGRADED: ['ONLINE', 'DEGRADED', 'OFFLINE', 'ENDED', 'REJECTED'],
  OFFLINE: ['CONNECTING', 'ENDED'],
  ENDED: [],
  REJECTED: [],
};

/** The state of one camera: makes the CameraStatus record of each change, and none where nothing changed. */
export class CameraStateMachine {
  readonly #identity: CameraIdentity;
  #state: CameraState = 'UNKNOWN';
  #reason: ReasonCode = 'NONE';
  #text = '';
  #sinceUs = 0;
  #changes = 0;

  constructor(identity: CameraIdentity) {
    this.#identity = identity;
  }

  get state(): CameraState {
    return this.#state;
  }

  get reason(): ReasonCode {
    return this.#reason;
  }

  get text(): string {
    return this.#text;
  }

  get sinceUs(): number {
    return this.#sinceUs;
  }

  /** The record of the change, or null where state and reason are as they were. */
  change(change: CameraChange, figures: CameraFigures, nowUs: number): CameraStatus | null {
    if (change.state === this.#state && change.reason === this.#reason) return null;
    if (!successors[this.#state].includes(change.state)) {
      throw new RangeError(`a camera does not go from ${this.#state} to ${change.state}`);
    }
    const previous = this.#state;
    this.#state = change.state;
    this.#reason = change.reason;
    this.#text = change.text;
    if (previous !== change.state) this.#sinceUs = nowUs;
    this.#changes++;
    return this.#record(previous, change, figures, nowUs);
  }

  #record(previous: CameraState, change: CameraChange, figures: CameraFigures, nowUs: number): CameraStatus {
    const { cameraId, producer, tags } = this.#identity;
    const { facts } = figures;
    return {
      message_id: messageId(cameraId, figures.epoch, this.#changes, `camera-status/${producer.instance_id}/${nowUs}`),
      camera_id: cameraId,
      epoch: figures.epoch,
      frame_seq: figures.frameSeq,
      time: nowUs,
      state: change.state,
      previous_state: previous,
      state_since: this.#sinceUs,
      reason_code: change.reason,
      reason_text: change.text,
      codec: facts?.codec ?? null,
      width_px: facts?.widthPx ?? null,
      height_px: facts?.heightPx ?? null,
      declared_fps: facts?.declaredFps ?? null,
      measured_fps: figures.measuredFps,
      clock_source: figures.clockSource,
      reconnect_count: figures.reconnectCount,
      next_retry_at: change.retryAtUs ?? null,
      backoff_ms: change.backoffMs ?? null,
      last_frame_time: figures.lastFrameTimeUs,
      time_to_first_result_ms: figures.timeToFirstFrameMs,
      producer,
      tags,
    };
  }
}
