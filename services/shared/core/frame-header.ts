import type { FrameRecord, ProducerRecord } from '../../../schemas/index.ts';
import type { SampledFrame } from './frame.ts';
import { messageId } from './message-id.ts';

/** What every record of a frame begins with. Its id follows from the frame and from `maker`: what makes records of that kind. */
export function frameHeader(
  frame: SampledFrame,
  maker: string,
  nowUs: number,
  producer: ProducerRecord,
): FrameRecord['header'] {
  const { times } = frame;
  return {
    message_id: messageId(frame.cameraId, frame.epoch, frame.frameSeq, maker),
    camera_id: frame.cameraId,
    epoch: frame.epoch,
    frame_seq: frame.frameSeq,
    capture_time: times.captureTimeUs,
    capture_time_source: times.captureTimeSource,
    capture_time_error_ms: times.captureTimeErrorMs,
    ingest_time: times.ingestTimeUs,
    publish_time: nowUs,
    pts_us: times.ptsUs,
    producer,
    tags: frame.tags,
  };
}
