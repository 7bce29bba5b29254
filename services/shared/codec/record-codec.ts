import { schemas, type CameraClaim, type CameraStatus, type DetectionFrame, type FrameRecord } from '#schemas';
import { createAvroType, type AvroType } from './avro-type.ts';

/** The records that we write, by the name of their schema. */
export interface RecordTypes {
  readonly 'detection-frame': DetectionFrame;
  readonly 'camera-status': CameraStatus;
  readonly frame: FrameRecord;
  readonly 'camera-claim': CameraClaim;
}

/** Avro of every record in its current version. */
export const recordTypes: { readonly [Name in keyof RecordTypes]: AvroType<RecordTypes[Name]> } = {
  'detection-frame': createAvroType<DetectionFrame>(schemas['detection-frame'].schema),
  'camera-status': createAvroType<CameraStatus>(schemas['camera-status'].schema),
  frame: createAvroType<FrameRecord>(schemas.frame.schema),
  'camera-claim': createAvroType<CameraClaim>(schemas['camera-claim'].schema),
};
