import type { SampledFrame } from '../../services/shared/core/frame.ts';
import { systemClock } from '../../services/shared/runtime/system-clock.ts';

/** A frame to be analysed, as ingest hands it on, with a picture of 64x36. */
export function sampledJpeg(cameraId: string, epoch: number, frameSeq: number, data: Uint8Array): SampledFrame {
  return {
    cameraId,
    epoch,
    frameSeq,
    fate: 'analyse',
    times: {
      captureTimeUs: systemClock.nowUs(),
      captureTimeSource: 'ARRIVAL',
      captureTimeErrorMs: null,
      ingestTimeUs: systemClock.nowUs(),
      ptsUs: null,
    },
    sourceWidthPx: 640,
    sourceHeightPx: 360,
    image: { format: 'jpeg', widthPx: 64, heightPx: 36, data },
    motion: null,
    accounting: {
      frames_received: 1,
      frames_analysed: 1,
      frames_filtered: 0,
      frames_dropped_ingest: 0,
      frames_dropped_deadline: 0,
      frames_failed: 0,
      drops_by_reason: {},
      decode_errors: 0,
      target_fps: 5,
      effective_fps: 5,
      load_state: 'NORMAL',
    },
    deadlineMs: null,
    tags: {},
  };
}
