/** Writes right records for two cameras to argv[2] for ever, saying on standard output how many were accepted; made to be killed. */
import { writeSync } from 'node:fs';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { createResultsWriter } from '../../services/results/results-writer.ts';
import { fileDestination } from './file-destination.ts';
import { makeCameraStatus, makeDetectionFrame } from './result-records.ts';

const ignore = (): void => {};
const logger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => logger };
const rotation = { maxFileBytes: 1024 * 1024, maxFileAgeMs: 60_000 };
const writer = createResultsWriter({
  destination: fileDestination(process.argv[2] ?? ''),
  rotation,
  clock: systemClock,
  logger,
});
try {
  for (const camera_id of ['gate', 'yard']) await writer.writeStatus(makeCameraStatus({ camera_id, frame_seq: 0 }));
  for (let frameSeq = 1; ; frameSeq += 1) {
    for (const camera_id of ['gate', 'yard'])
      await writer.writeDetections(makeDetectionFrame({ header: { camera_id, frame_seq: frameSeq } }));
    if (frameSeq % 100 === 0) {
      writeSync(1, `${frameSeq * 2}\n`);
      // Lets timers and finished writes have their turn, as cameras do.
      await new Promise(setImmediate);
    }
  }
} catch (error) {
  const { code, message } = toAppError(error);
  writeSync(1, `${JSON.stringify({ code, message, counts: writer.counts() })}\n`);
}
