import type { CameraStatus, DetectionFrame } from '#schemas';
import type { RecordBatch } from '#shared/codec/object-container-reader';
import { toJsonLine } from '../../services/results/core/json-line.ts';

/** Records of one camera or of all, each as a line of JSON. */
export function jsonLines(batch: RecordBatch, camera: string | undefined): string[] {
  if (batch.schema === 'detection-frame') {
    const records = batch.records.filter(({ header }) => camera === undefined || header.camera_id === camera);
    return records.map((record) => `${toJsonLine('detection_frame', record)}\n`);
  }
  const records = batch.records.filter(({ camera_id }) => camera === undefined || camera_id === camera);
  return records.map((record) => `${toJsonLine('camera_status', record)}\n`);
}

/** The same for people: time, camera, and what was seen or what became of it. */
export function textLines(batch: RecordBatch, camera: string | undefined): string[] {
  if (batch.schema === 'detection-frame') {
    const records = batch.records.filter(({ header }) => camera === undefined || header.camera_id === camera);
    return records.map((record) => line(record.header.capture_time, record.header.camera_id, detectionText(record)));
  }
  const records = batch.records.filter(({ camera_id }) => camera === undefined || camera_id === camera);
  return records.map((record) => line(record.time, record.camera_id, statusText(record)));
}

function line(timeUs: number, camera: string, text: string): string {
  return `${new Date(timeUs / 1000).toISOString()}  ${camera}  ${text}\n`;
}

function detectionText({ decision, failure_code, objects }: DetectionFrame): string {
  if (decision !== 'ANALYSED') return failure_code === null ? decision.toLowerCase() : `failed: ${failure_code}`;
  const counts = new Map<string, number>();
  for (const { class_name } of objects) counts.set(class_name, (counts.get(class_name) ?? 0) + 1);
  if (counts.size === 0) return '-';
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}

function statusText({ state, reason_code, reason_text }: CameraStatus): string {
  const reason = [reason_code === 'NONE' ? '' : reason_code, reason_text].filter((text) => text !== '').join(': ');
  return reason === '' ? `camera ${state}` : `camera ${state} (${reason})`;
}
