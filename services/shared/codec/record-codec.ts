import {
  schemas,
  type CameraClaim,
  type CameraRegistration,
  type CameraStatus,
  type DetectionFrame,
  type DriftState,
  type FrameRecord,
  type IngestPresence,
  type ModelInfo,
} from '#schemas';
import { createAvroType, type AvroType } from './avro-type.ts';

/** The records that we write, by the name of their schema. */
export interface RecordTypes {
  readonly 'detection-frame': DetectionFrame;
  readonly 'camera-status': CameraStatus;
  readonly frame: FrameRecord;
  readonly 'camera-claim': CameraClaim;
  readonly 'ingest-presence': IngestPresence;
  readonly 'camera-registration': CameraRegistration;
  readonly 'model-info': ModelInfo;
  readonly 'drift-state': DriftState;
}

/** Avro of every record in its current version. */
export const recordTypes: { readonly [Name in keyof RecordTypes]: AvroType<RecordTypes[Name]> } = {
  'detection-frame': createAvroType<DetectionFrame>(schemas['detection-frame'].schema),
  'camera-status': createAvroType<CameraStatus>(schemas['camera-status'].schema),
  frame: createAvroType<FrameRecord>(schemas.frame.schema),
  'camera-claim': createAvroType<CameraClaim>(schemas['camera-claim'].schema),
  'ingest-presence': createAvroType<IngestPresence>(schemas['ingest-presence'].schema),
  'camera-registration': createAvroType<CameraRegistration>(schemas['camera-registration'].schema),
  'model-info': createAvroType<ModelInfo>(schemas['model-info'].schema),
  'drift-state': createAvroType<DriftState>(schemas['drift-state'].schema),
};
