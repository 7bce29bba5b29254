import { schemas, type CameraStatus, type DetectionFrame } from '#schemas';
import { createAvroType, type AvroType } from './avro-type.ts';

/** The records that we write, by the name of their schema. */
export interface RecordTypes {
  readonly 'detection-frame': DetectionFrame;
  readonly 'camera-status': CameraStatus;
}

/** Avro of every record in its current version. */
export const recordTypes: { readonly [Name in keyof RecordTypes]: AvroType<RecordTypes[Name]> } = {
  'detection-frame': createAvroType<DetectionFrame>(schemas['detection-frame'].schema),
  'camera-status': createAvroType<CameraStatus>(schemas['camera-status'].schema),
};
