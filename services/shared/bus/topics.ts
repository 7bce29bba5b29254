import type {
  CameraClaim,
  CameraRegistration,
  CameraStatus,
  DetectionFrame,
  DriftState,
  IngestPresence,
  ModelInfo,
} from '#schemas';
import type { SampledFrame } from '#shared/core/frame';
import type { Topic } from './message-bus.ts';

export const framesTopic: Topic<SampledFrame> = { name: 'sightline.frames' };
export const detectionsTopic: Topic<DetectionFrame> = { name: 'sightline.detections' };
export const cameraStatusTopic: Topic<CameraStatus> = { name: 'sightline.camera-status' };

/** What the services say to each other over Kafka. The names begin with a prefix of the installation's own. */
export interface ServiceTopics {
  readonly frames: Topic<SampledFrame>;
  readonly detections: Topic<DetectionFrame>;
  readonly cameraStatus: Topic<CameraStatus>;
  readonly cameraClaims: Topic<CameraClaim>;
  /** Registrations; null deletes. */
  readonly cameras: Topic<CameraRegistration>;
  readonly ingestPresence: Topic<IngestPresence>;
  /** Steps of roll-outs of models. */
  readonly models: Topic<ModelInfo>;
  /** What inference needs to go on looking for drift where another one stopped, and what it found. */
  readonly drift: Topic<DriftState>;
  /** Records that could not be read, as they were. */
  readonly deadLetters: string;
}

export function serviceTopics(prefix: string): ServiceTopics {
  return {
    frames: { name: `${prefix}.frames` },
    detections: { name: `${prefix}.detections` },
    cameraStatus: { name: `${prefix}.camera-status` },
    cameras: { name: `${prefix}.cameras` },
    cameraClaims: { name: `${prefix}.camera-claims` },
    ingestPresence: { name: `${prefix}.ingest-presence` },
    models: { name: `${prefix}.models` },
    drift: { name: `${prefix}.drift` },
    deadLetters: `${prefix}.dead-letters`,
  };
}
