import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { AppendTarget } from '../core/ports.ts';
import { isRotationDue, type RotationPolicy } from '../core/rotation.ts';
import type { BlockEncoder } from './block-encoders.ts';

export interface RecordSinkOptions<T> {
  readonly name: string;
  readonly encoder: BlockEncoder<T>;
  /** Called for the first file and for each next one. */
  readonly openTarget: () => Promise<AppendTarget>;
  /** Absent: one file for ever. */
  readonly rotation?: RotationPolicy;
  readonly blockBytes: number;
  readonly flushAfterMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SinkCounts {
  readonly written: number;
  readonly lost: number;
  readonly bytes: number;
}

interface OpenTarget {
  readonly target: AppendTarget;
  readonly openedAtMs: number;
  sizeBytes: number;
  records: number;
}

/**
 * One series of files: records are collected into a block, and a block is appended in one write when it is full or its first record
 * has waited long enough. One block is on its way and one is being filled; who offers more waits.
 */
export class RecordSink<T> {
  readonly #options: RecordSinkOptions<T>;
  readonly #closing = new AbortController();
  #file: OpenTarget | undefined;
  #busy: Promise<void> | undefined;
  #timer: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #failure: AppError | undefined;
  #written = 0;
  #lost = 0;
  #bytes = 0;

  constructor(options: RecordSinkOptions<T>) {
    this.#options = options;
  }

  counts(): SinkCounts {
    return { written: this.#written, lost: this.#lost, bytes: this.#bytes };
  }

  async open(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
    await this.#run(async () => {
      await this.#ensureOpen();
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when the record is accepted. Rejects with the sink's failure, or with the encoder's where only this record is wrong. */
  async write(record: T): Promise<void> {
    const { encoder, blockBytes } = this.#options;
    if (this.#failure !== undefined || this.#closed !== undefined) {
      this.#lost += 1;
      throw this.#failure ?? new AppError('SIGHTLINE_INTERNAL', 'a record was offered after the results were closed');
    }
    try {
      encoder.add(record);
    } catch (error) {
      this.#lost += 1;
      throw error;
    }
    this.#startTimer();
    if (encoder.pendingBytes < blockBytes) return;
    while (this.#busy !== undefined) await this.#busy;
    // Another writer may have sent the full block while this one waited.
    if (encoder.pendingBytes >= blockBytes) void this.#run(() => this.#writeBlock());
    this.#throwFailure();
  }

  /** Writes what is waiting and closes the file. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#timer;
    await this.#flush();
    try {
      await this.#closeFile();
    } catch (error) {
      if (this.#failure === undefined) this.#fail(toAppError(error));
    }
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #startTimer(): void {
    this.#timer ??= this.#flushLater();
  }

  async #flushLater(): Promise<void> {
    try {
      await this.#options.clock.sleep(this.#options.flushAfterMs, this.#closing.signal);
    } catch {
      return; // Closing: it flushes by itself.
    }
    this.#timer = undefined;
    await this.#flush();
  }

  async #flush(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
    if (this.#options.encoder.pendingRecords > 0) await this.#run(() => this.#writeBlock());
  }

  /** One step at a time; a failing step becomes the sink's failure, never an unhandled rejection. */
  #run(step: () => Promise<void>): Promise<void> {
    const attempt = async (): Promise<void> => {
      try {
        if (this.#failure === undefined) await step();
      } catch (error) {
        this.#fail(toAppError(error));
      }
    };
    const busy = attempt().then(() => {
      this.#busy = undefined;
    });
    this.#busy = busy;
    return busy;
  }

  #fail(error: AppError): void {
    this.#failure ??= error;
    const { encoder, logger, name } = this.#options;
    if (encoder.pendingRecords > 0) this.#lost += encoder.takeBlock().records;
    logger.error(
      { results: name, code: error.code, reason: error.message, recordsLost: this.#lost },
      'writing results failed',
    );
  }

  async #writeBlock(): Promise<void> {
    const { encoder, rotation, clock } = this.#options;
    const block = encoder.takeBlock();
    try {
      const bytes = await block.bytes;
      if (rotation !== undefined && this.#file !== undefined) {
        const ageMs = clock.monotonicMs() - this.#file.openedAtMs;
        if (isRotationDue({ ...this.#file, ageMs }, bytes.length, rotation)) await this.#closeFile();
      }
      const file = await this.#ensureOpen();
      await file.target.append(bytes);
      file.sizeBytes += bytes.length;
      file.records += block.records;
      this.#bytes += bytes.length;
      this.#written += block.records;
    } catch (error) {
      this.#lost += block.records;
      throw error;
    }
  }

  async #ensureOpen(): Promise<OpenTarget> {
    if (this.#file !== undefined) return this.#file;
    const target = await this.#options.openTarget();
    const header = this.#options.encoder.header();
    const file = { target, openedAtMs: this.#options.clock.monotonicMs(), sizeBytes: header.length, records: 0 };
    this.#file = file;
    if (header.length > 0) await target.append(header);
    this.#bytes += header.length;
    return file;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.target.close();
  }
}
