import type { Logger } from '#shared/core/logger';
import type { LiveRow } from './live-view.ts';

const intervalMs = 30_000;
/** With more cameras than this the log gets one line for all. */
const mostLines = 8;

/** Where there is no terminal to draw on: how it goes, as log lines now and then. Returns how to stop. */
export function startProgressLog(logger: Logger, rows: () => readonly LiveRow[]): () => void {
  const timer = setInterval(() => {
    logProgress(logger, rows());
  }, intervalMs).unref();
  return () => {
    clearInterval(timer);
  };
}

function logProgress(logger: Logger, rows: readonly LiveRow[]): void {
  if (rows.length > mostLines) {
    const online = rows.filter((row) => row.state === 'ONLINE').length;
    const sum = (pick: (row: LiveRow) => number): number =>
      Math.round(rows.reduce((total, row) => total + pick(row), 0) * 10) / 10;
    const facts = {
      cameras: rows.length,
      online,
      receivedFps: sum((row) => row.receivedFps),
      analysedFps: sum((row) => row.analysedFps),
    };
    logger.info({ ...facts, dropped: sum((row) => row.droppedFrames) }, 'progress');
    return;
  }
  for (const row of rows) {
    const {
      cameraId: camera,
      state,
      receivedFps,
      analysedFps,
      droppedFrames: dropped,
      filteredFrames: filtered,
      objects,
    } = row;
    const progress = row.progress === null ? {} : { percent: Math.floor(row.progress * 100) };
    logger.info({ camera, state, receivedFps, analysedFps, dropped, filtered, objects, ...progress }, 'progress');
  }
}
