import type { CameraStatus, DetectionFrame } from '#schemas';
import { findResultsFiles, readResults } from '../../services/results/results-reader.ts';

/** All detection records of results files, in the order in which they stand there. */
export async function readDetections(...inputs: readonly string[]): Promise<DetectionFrame[]> {
  const records: DetectionFrame[] = [];
  for await (const part of readResults(await findResultsFiles(inputs, { withStatusesBeside: false }))) {
    if (part.kind === 'records' && part.schema === 'detection-frame') records.push(...part.records);
  }
  return records;
}

/** The statuses that stand beside results files. */
export async function readStatuses(...inputs: readonly string[]): Promise<CameraStatus[]> {
  const statuses: CameraStatus[] = [];
  for await (const part of readResults(await findResultsFiles(inputs, { withStatusesBeside: true }))) {
    if (part.kind === 'records' && part.schema === 'camera-status') statuses.push(...part.records);
  }
  return statuses;
}
