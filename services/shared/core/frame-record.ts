import type { FateName, FrameRecord, ProducerRecord } from '../../../schemas/index.ts';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';
import type { FrameFate, JpegImage, SampledFrame } from './frame.ts';
import { frameHeader } from './frame-header.ts';

const jpegMediaType = 'image/jpeg';
const nameOfFate: Readonly<Record<FrameFate, FateName>> = {
  analyse: 'ANALYSE',
  filtered: 'FILTERED',
  dropped: 'DROPPED',
};
/** Beyond this the two clocks say nothing about each other, and a deadline is not believed. */
const farFutureMs = 3_600_000;

/** A frame as it stands on the frames topic. Its image has to be a JPEG. */
export function toFrameRecord(frame: SampledFrame, producer: ProducerRecord, clock: Clock): FrameRecord {
  const { image, deadlineMs } = frame;
  if (image !== null && image.format !== 'jpeg') {
    throw new AppError('SIGHTLINE_INTERNAL', 'only encoded pictures travel between processes');
  }
  const nowUs = clock.nowUs();
  return {
    header: frameHeader(frame, 'frame', nowUs, producer),
    frame_width_px: frame.sourceWidthPx,
    frame_height_px: frame.sourceHeightPx,
    fate: nameOfFate[frame.fate],
    image:
      image === null
        ? null
        : {
            media_type: jpegMediaType,
            width_px: image.widthPx,
            height_px: image.heightPx,
            // The same memory: the Avro library takes bytes as a Buffer only.
            bytes: Buffer.from(image.data.buffer, image.data.byteOffset, image.data.byteLength),
          },
    crop: frame.crop ?? null,
    motion: frame.motion,
    accounting: frame.accounting,
    // By the wall clock, which is the only one that two machines share.
    deadline: deadlineMs === null ? null : Math.round(nowUs + (deadlineMs - clock.monotonicMs()) * 1000),
    priority: frame.priority ?? 1,
  };
}

/** Throws SIGHTLINE_RECORD_UNDECODABLE for a record that no ingest of ours writes. */
export function fromFrameRecord(record: FrameRecord, clock: Clock): SampledFrame {
  const { header, image, deadline } = record;
  if (header.camera_id === '' || !(header.epoch >= 1) || !(header.frame_seq >= 1)) {
    throw undecodable('a frame without camera, epoch or number');
  }
  return {
    cameraId: header.camera_id,
    epoch: header.epoch,
    frameSeq: header.frame_seq,
    fate: fateOf(record.fate),
    times: {
      captureTimeUs: header.capture_time,
      captureTimeSource: header.capture_time_source,
      captureTimeErrorMs: header.capture_time_error_ms,
      ingestTimeUs: header.ingest_time,
      ptsUs: header.pts_us,
    },
    sourceWidthPx: record.frame_width_px,
    sourceHeightPx: record.frame_height_px,
    image: image === null ? null : imageOf(image),
    ...(record.crop === null ? {} : { crop: record.crop }),
    motion: record.motion,
    accounting: record.accounting,
    deadlineMs: deadline === null ? null : monotonic(deadline, clock),
    priority: record.priority,
    tags: header.tags,
  };
}

function fateOf(name: FateName): FrameFate {
  switch (name) {
    case 'ANALYSE':
      return 'analyse';
    case 'FILTERED':
      return 'filtered';
    case 'DROPPED':
      return 'dropped';
    case 'UNKNOWN':
      throw undecodable('a frame with a fate that this version does not know');
  }
}

function imageOf(image: NonNullable<FrameRecord['image']>): JpegImage {
  if (image.media_type !== jpegMediaType) throw undecodable(`a picture of the type ${image.media_type.slice(0, 80)}`);
  return { format: 'jpeg', widthPx: image.width_px, heightPx: image.height_px, data: image.bytes };
}

function monotonic(deadlineUs: number, clock: Clock): number {
  const remainingMs = Math.min((deadlineUs - clock.nowUs()) / 1000, farFutureMs);
  return clock.monotonicMs() + remainingMs;
}

function undecodable(reason: string): AppError {
  return new AppError('SIGHTLINE_RECORD_UNDECODABLE', reason);
}
