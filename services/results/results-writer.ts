import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { CameraStatus, DetectionFrame } from '#schemas';
import type { ContainerCompression } from '#shared/codec/object-container-format';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { openAppendFile } from './adapters/append-file.ts';
import { createAvroEncoder, createJsonLinesEncoder, type AnyRecord } from './adapters/block-encoders.ts';
import { clearDestination, type ClearedPath } from './adapters/existing-results.ts';
import { openError, systemCode } from './adapters/file-errors.ts';
import { RecordSink } from './adapters/record-sink.ts';
import { createStreamTarget } from './adapters/stream-target.ts';
import { rotatedFileName, type FileDestination } from './core/destination.ts';
import type { AppendTarget, ResultsWriter } from './core/ports.ts';
import { defaultRotation, type RotationPolicy } from './core/rotation.ts';

export interface ResultsWriterOptions {
  readonly destination: FileDestination;
  /** Only directories rotate. Default 256 MiB and one hour. */
  readonly rotation?: RotationPolicy;
  /** Default none: boxes are mostly noise to a compressor, and any reader reads it. */
  readonly compression?: ContainerCompression;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Default the standard output of this process. */
  readonly standardOutput?: Writable;
  /** Whoever read the standard output closed it. Without this it is a failure like any other. */
  readonly onReaderGone?: () => void;
}

// Large enough that a block's frame (about 20 bytes) and its system call are nothing, small enough that two of them are no memory.
const blockBytes = 64 * 1024;
// Half of the second that is promised, so that a late timer still keeps it.
const fileFlushAfterMs = 500;
// Whoever reads a pipe looks at it now; what comes within one frame of a fast camera still goes in one write.
const pipeFlushAfterMs = 20;

/** Where results end, for each kind of destination but Kafka, which is a module of its own: few runs need its code. */
export function createResultsWriter(options: ResultsWriterOptions): ResultsWriter {
  const { destination } = options;
  switch (destination.kind) {
    case 'avro-file': {
      const clear = once(() => clearPaths(options, [destination.detectionsPath, destination.statusPath]));
      return createAvroWriter(options, {
        detections: async () => openCleared((await clear())[0]),
        statuses: async () => openCleared((await clear())[1]),
      });
    }
    case 'avro-directory':
      return createAvroWriter(
        { ...options, rotation: options.rotation ?? defaultRotation },
        {
          detections: fileSeries(options, destination.directory, 'detections'),
          statuses: fileSeries(options, destination.directory, 'camera-status'),
        },
      );
    case 'json-lines-file':
      return createJsonLinesWriter(options, fileFlushAfterMs, async () =>
        openCleared((await clearPaths(options, [destination.path]))[0]),
      );
    case 'standard-output':
      return createJsonLinesWriter(options, pipeFlushAfterMs, async () =>
        createStreamTarget(options.standardOutput ?? process.stdout, 'standard output', options.onReaderGone),
      );
  }
}

type OpenTarget = () => Promise<AppendTarget>;

function createAvroWriter(
  { rotation, compression = 'null', clock, logger, destination }: ResultsWriterOptions,
  open: { readonly detections: OpenTarget; readonly statuses: OpenTarget },
): ResultsWriter {
  const common = {
    blockBytes,
    flushAfterMs: fileFlushAfterMs,
    clock,
    logger,
    ...(destination.kind === 'avro-directory' && rotation !== undefined ? { rotation } : {}),
  };
  const detections = new RecordSink<DetectionFrame>({
    ...common,
    name: 'detections',
    encoder: createAvroEncoder('detection-frame', { compression, blockBytes }),
    openTarget: open.detections,
  });
  const statuses = new RecordSink<CameraStatus>({
    ...common,
    name: 'camera-status',
    encoder: createAvroEncoder('camera-status', { compression, blockBytes }),
    openTarget: open.statuses,
  });
  return createWriter(
    [detections, statuses],
    (record) => detections.write(record),
    (record) => statuses.write(record),
  );
}

function createJsonLinesWriter(
  { clock, logger }: ResultsWriterOptions,
  flushAfterMs: number,
  openTarget: OpenTarget,
): ResultsWriter {
  const sink = new RecordSink<AnyRecord>({
    name: 'json-lines',
    encoder: createJsonLinesEncoder(),
    openTarget,
    blockBytes,
    flushAfterMs,
    clock,
    logger,
  });
  return createWriter(
    [sink],
    (record) => sink.write({ type: 'detection_frame', record }),
    (record) => sink.write({ type: 'camera_status', record }),
  );
}

function createWriter(
  sinks: readonly Pick<RecordSink<never>, 'open' | 'close' | 'counts'>[],
  writeDetections: (record: DetectionFrame) => Promise<void>,
  writeStatus: (record: CameraStatus) => Promise<void>,
): ResultsWriter {
  // All at the first word, so that a run without a single result leaves files that say so.
  const open = once(async () => {
    for (const sink of sinks) await sink.open();
  });
  let refused = 0;
  const opened = async (): Promise<void> => {
    try {
      await open();
    } catch (error) {
      refused += 1;
      throw error;
    }
  };
  return {
    open,
    async writeDetections(record) {
      await opened();
      await writeDetections(record);
    },
    async writeStatus(record) {
      await opened();
      await writeStatus(record);
    },
    counts() {
      const counts = sinks.map((sink) => sink.counts());
      return {
        recordsWritten: counts.reduce((sum, { written }) => sum + written, 0),
        recordsLost: counts.reduce((sum, { lost }) => sum + lost, refused),
        bytesWritten: counts.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
    close: once(async () => {
      const outcomes = [
        ...(await Promise.allSettled([open()])),
        ...(await Promise.allSettled(sinks.map((sink) => sink.close()))),
      ];
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    }),
  };
}

async function clearPaths({ logger }: ResultsWriterOptions, paths: readonly string[]): Promise<ClearedPath[]> {
  const cleared = await clearDestination(paths);
  for (const { path, keptAs } of cleared) {
    if (keptAs !== undefined) logger.info({ path, keptAs }, 'results of an earlier run are kept under another name');
  }
  return cleared;
}

async function openCleared(cleared: ClearedPath | undefined): Promise<AppendTarget> {
  if (cleared === undefined) throw new AppError('SIGHTLINE_INTERNAL', 'a results path was not prepared');
  return openAppendFile(cleared.path, cleared.flags);
}

/** Opens one new file after another in a directory. */
function fileSeries(
  { clock }: ResultsWriterOptions,
  directory: string,
  series: 'detections' | 'camera-status',
): OpenTarget {
  let number = 0;
  return async () => {
    try {
      await mkdir(directory, { recursive: true });
    } catch (error) {
      throw openError(directory, error);
    }
    for (;;) {
      number += 1;
      const path = join(directory, rotatedFileName(series, clock.nowUs(), number));
      try {
        return await openAppendFile(path, 'wx');
      } catch (error) {
        // Another process began a file in the same second: the next number is free, or the one after it.
        if (!(error instanceof AppError) || systemCode(error.cause) !== 'EEXIST') throw error;
      }
    }
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
