import type { CameraStatus, DetectionFrame } from '#schemas';
import { systemClock } from '../../services/shared/runtime/system-clock.ts';
import { parseDestination } from '../../services/results/core/destination.ts';
import { createKafkaResultsWriter } from '../../services/results/kafka-results-writer.ts';
import { createKeptLogger } from './silent-logger.ts';

/** Writes records to the topics of a kafka:// address as a run does, and resolves when the broker has all of them. */
export async function writeToTopics(
  url: string,
  detections: readonly DetectionFrame[],
  statuses: readonly CameraStatus[] = [],
): Promise<void> {
  const destination = parseDestination(url);
  if (destination.kind !== 'kafka') throw new Error(`${url} is not a kafka:// address`);
  const writer = createKafkaResultsWriter({
    destination,
    client: 'platformatic',
    connection: { clientId: `test-writer-${String(process.pid)}` },
    logger: createKeptLogger().logger,
    clock: systemClock,
  });
  try {
    for (const record of detections) await writer.writeDetections(record);
    for (const record of statuses) await writer.writeStatus(record);
    await writer.drain?.();
  } finally {
    await writer.close();
  }
}
