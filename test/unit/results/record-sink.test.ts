import { describe, expect, test } from 'vitest';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { BlockEncoder } from '../../../services/results/adapters/block-encoders.ts';
import { RecordSink } from '../../../services/results/adapters/record-sink.ts';

describe('a record sink', () => {
  test('appends a block when it is full, in one piece', async () => {
    const { sink, files } = makeSink({ blockBytes: 4 });
    for (const text of ['ab', 'cd', 'ef', 'gh']) await sink.write(text);
    await sink.close();
    expect(files).toEqual([{ pieces: ['#', 'abcd', 'efgh'], closed: true }]);
  });

  test('appends what is waiting when its time has come', async () => {
    const { sink, files, passTime } = makeSink({ blockBytes: 1000 });
    await sink.write('ab');
    expect(files).toEqual([]);
    passTime();
    await expect.poll(() => files).toEqual([{ pieces: ['#', 'ab'], closed: false }]);
    await sink.close();
  });

  test('lets a writer wait while the disk is slow, so that memory stays bounded', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { sink, files } = makeSink({ blockBytes: 2, append: () => gate.promise });
    await sink.write('ab');
    let accepted = false;
    const second = sink.write('cd').then(() => {
      accepted = true;
    });
    await new Promise(setImmediate);
    expect(accepted).toBe(false);
    gate.resolve(undefined);
    await second;
    await sink.close();
    expect(files[0]?.pieces).toEqual(['#', 'ab', 'cd']);
  });

  test('keeps every record of writers that do not wait for each other, in order', async () => {
    const { sink, files } = makeSink({ blockBytes: 8 });
    const texts = Array.from({ length: 100 }, (_, index) => `<${index}>`);
    await Promise.all(texts.map((text) => sink.write(text)));
    await sink.close();
    expect(files[0]?.pieces.join('')).toBe(`#${texts.join('')}`);
    expect(sink.counts()).toMatchObject({ written: 100, lost: 0 });
  });

  test('after a failure rejects each write and close with it, tells it once and counts what was lost', async () => {
    const full = new AppError('SIGHTLINE_RESULTS_DISK_FULL', 'no room');
    let appends = 0;
    const { sink, errors, files } = makeSink({
      blockBytes: 4,
      append: async () => {
        appends += 1;
        if (appends > 2) throw full;
      },
    });
    await sink.write('abcd');
    await sink.write('ef');
    await sink.write('gh');
    await expect.poll(() => errors.length).toBe(1);
    await expect(sink.write('ij')).rejects.toBe(full);
    await expect(sink.close()).rejects.toBe(full);
    await expect(sink.close()).rejects.toBe(full);
    expect(sink.counts()).toMatchObject({ written: 1, lost: 3 });
    expect(errors).toHaveLength(1);
    expect(files[0]).toMatchObject({ closed: true });
  });

  test('tells a failure in the background at the next write', async () => {
    const { sink, passTime, errors } = makeSink({ blockBytes: 1000, append: () => Promise.reject(new Error('EIO')) });
    await sink.write('ab');
    passTime();
    await expect.poll(() => errors.length).toBe(1);
    await expect(sink.write('cd')).rejects.toMatchObject({ code: 'SIGHTLINE_INTERNAL', message: 'EIO' });
    await expect(sink.close()).rejects.toMatchObject({ message: 'EIO' });
  });

  test('refuses a record after it was closed', async () => {
    const { sink } = makeSink({ blockBytes: 4 });
    await sink.close();
    await expect(sink.write('ab')).rejects.toThrow('closed');
    expect(sink.counts()).toMatchObject({ lost: 1 });
  });

  test('goes on after a record that only the encoder refused', async () => {
    const { sink, files } = makeSink({ blockBytes: 1000 });
    await sink.write('ab');
    await expect(sink.write('BAD')).rejects.toThrow('refused');
    await sink.write('cd');
    await sink.close();
    expect(files[0]?.pieces).toEqual(['#', 'abcd']);
    expect(sink.counts()).toMatchObject({ written: 2, lost: 1 });
  });

  test('begins a new file, with its header, when the old one is full', async () => {
    const { sink, files } = makeSink({ blockBytes: 4, rotation: { maxFileBytes: 9, maxFileAgeMs: 1e9 } });
    for (const text of ['abcd', 'efgh', 'ijkl']) await sink.write(text);
    await sink.close();
    expect(files).toEqual([
      { pieces: ['#', 'abcd', 'efgh'], closed: true },
      { pieces: ['#', 'ijkl'], closed: true },
    ]);
  });

  test('begins a new file when the old one is old', async () => {
    const { sink, files, clock } = makeSink({ blockBytes: 4, rotation: { maxFileBytes: 1e9, maxFileAgeMs: 1000 } });
    await sink.write('abcd');
    await expect.poll(() => sink.counts().written).toBe(1);
    clock.timeMs += 1000;
    await sink.write('efgh');
    await sink.close();
    expect(files.map(({ pieces }) => pieces.join(''))).toEqual(['#abcd', '#efgh']);
  });
});

interface MadeFile {
  readonly pieces: string[];
  closed: boolean;
}

function makeSink(options: {
  blockBytes: number;
  rotation?: { maxFileBytes: number; maxFileAgeMs: number };
  append?: () => Promise<unknown>;
}): { sink: RecordSink<string>; files: MadeFile[]; errors: object[]; passTime: () => void; clock: { timeMs: number } } {
  const files: MadeFile[] = [];
  const errors: object[] = [];
  const clock = { timeMs: 0 };
  let wake = (): void => {};
  const sink = new RecordSink<string>({
    name: 'test',
    encoder: createTextEncoder(),
    openTarget: async () => {
      const file: MadeFile = { pieces: [], closed: false };
      files.push(file);
      return {
        append: async (bytes) => {
          await options.append?.();
          file.pieces.push(bytes.toString());
        },
        close: async () => {
          file.closed = true;
        },
      };
    },
    ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
    blockBytes: options.blockBytes,
    flushAfterMs: 500,
    clock: {
      nowUs: () => clock.timeMs * 1000,
      monotonicMs: () => clock.timeMs,
      sleep: (_delayMs, signal) =>
        new Promise((resolve, reject) => {
          wake = resolve;
          signal?.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    } satisfies Clock,
    logger: createErrorLog(errors),
  });
  return { sink, files, errors, passTime: () => wake(), clock };
}

function createErrorLog(errors: object[]): Logger {
  const ignore = (): void => {};
  const logger: Logger = {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields) => void errors.push(fields),
    child: () => logger,
  };
  return logger;
}

function createTextEncoder(): BlockEncoder<string> {
  let pending: string[] = [];
  return {
    header: () => Buffer.from('#'),
    add(text) {
      if (text === 'BAD') throw new AppError('SIGHTLINE_RESULTS_RECORD_INVALID', 'refused');
      pending.push(text);
    },
    get pendingBytes() {
      return pending.join('').length;
    },
    get pendingRecords() {
      return pending.length;
    },
    takeBlock() {
      const block = { bytes: Buffer.from(pending.join('')), records: pending.length };
      pending = [];
      return block;
    },
  };
}
