import type { CameraStatus, DetectionFrame, ResultName } from '#schemas';
import { schemas } from '#schemas';

/**
 * Headers by which a record is a CloudEvent in binary mode (CloudEvents 1.0, Kafka binding): routers read them without knowing our schema.
 */
export function cloudEventHeaders(
  name: ResultName,
  record: DetectionFrame | CameraStatus,
  dataSchema: string,
): Readonly<Record<string, string>> {
  const isFrame = 'header' in record;
  const { message_id: id, camera_id: camera } = isFrame ? record.header : record;
  const timeUs = isFrame ? record.header.capture_time : record.time;
  return {
    ce_specversion: '1.0',
    ce_id: id,
    ce_source: `/sightline/cameras/${encodeURIComponent(camera)}`,
    ce_type: schemas[name].fullName,
    ce_subject: camera,
    ce_time: new Date(timeUs / 1000).toISOString(),
    ce_dataschema: dataSchema,
    'content-type': 'application/avro',
  };
}
