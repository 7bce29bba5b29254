import { resolve as resolvePath } from 'node:path';
import type { BoundingBoxRecord } from '#schemas';
import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { FrameTimes } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import { cropRectangle, inferenceSize, type InputGeometry, type SizePx } from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import { scrubSecrets } from '#shared/core/redact';
import { yuv420Bytes } from '#shared/core/yuv420';
import type { CaptureClock } from '../../core/capture-clock.ts';
import { cameraError } from '../../core/camera-failure.ts';
import type { FrameSink, FrameSource, StreamEnd } from '../../core/ports.ts';
import { ffmpegArguments, type FfmpegInput } from './ffmpeg-arguments.ts';
import { startFfmpeg, type FfmpegExit, type FfmpegProcess } from './ffmpeg-process.ts';
import { dialectOf, type FfmpegVersion } from './ffmpeg-version.ts';
import { FrameReader, type Planes } from './frame-reader.ts';
import { sniffContainer } from './sniff-container.ts';
import { StderrParser, type FrameNote } from './stderr-parser.ts';
import type { openOutputPipes } from './output-pipes.ts';

export interface FfmpegContext {
  readonly ffmpegPath: string;
  readonly version: FfmpegVersion;
  readonly geometry: InputGeometry;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For tests: how the pipes are made. */
  readonly openPipes?: typeof openOutputPipes;
}

export interface DecodeOptions {
  readonly input: FfmpegInput;
  readonly fps: number;
  readonly crop: BoundingBoxRecord | null;
  readonly masks: readonly BoundingBoxRecord[];
  /** Null for files, which carry their own time. */
  readonly captureClock: CaptureClock | null;
}

/** Lines of ffmpeg that go to the debug log per run; a damaged stream writes thousands a second. */
const loggedLines = 200;

/** A file as a source of frames. */
export function createFileSource(
  file: {
    readonly path: string;
    readonly realtime: boolean;
    readonly loop: boolean;
    readonly fps: number;
    readonly crop: BoundingBoxRecord | null;
    readonly masks: readonly BoundingBoxRecord[];
  },
  context: FfmpegContext,
): FrameSource {
  return {
    async run(sink, signal) {
      const path = resolvePath(file.path);
      let demuxer: string;
      try {
        demuxer = await sniffContainer(path);
      } catch (thrown) {
        const error = toAppError(thrown);
        const reason = error.code === 'SIGHTLINE_FILE_UNREADABLE' ? 'NOT_FOUND' : 'NO_VIDEO';
        return { reason, text: error.message, error };
      }
      const input: FfmpegInput = { kind: 'file', path, demuxer, realtime: file.realtime, loop: file.loop };
      return decode({ ...file, input, captureClock: null }, sink, signal, context);
    },
  };
}

/** Runs ffmpeg on the input until it ends, fails or is stopped; pushes every sampled frame. */
export async function decode(
  options: DecodeOptions,
  sink: FrameSink,
  signal: AbortSignal,
  context: FfmpegContext,
): Promise<StreamEnd> {
  if (signal.aborted) return stopped;
  const run = new DecoderRun(options, sink, context);
  try {
    return await run.run(signal);
  } catch (thrown) {
    const error = toAppError(thrown);
    return { reason: 'UNKNOWN', text: error.message, error };
  }
}

const stopped: StreamEnd = { reason: 'STOPPED', text: 'stopped', error: null };

class DecoderRun {
  readonly #options: DecodeOptions;
  readonly #sink: FrameSink;
  readonly #context: FfmpegContext;
  readonly #parser: StderrParser;
  readonly #reader: FrameReader;
  #process: FfmpegProcess | null = null;
  #lines = 0;
  #frames = 0;
  #damaged = 0;
  #factsTold = '';
  #isWaitingForNote = false;
  #fault: unknown = null;
  /** Capture time minus presentation time of a file. */
  #fileZeroUs: number | null = null;
  readonly #startUs: number;
  #firstWordsUs: number | null = null;

  constructor(options: DecodeOptions, sink: FrameSink, context: FfmpegContext) {
    this.#options = options;
    this.#sink = sink;
    this.#context = context;
    this.#startUs = context.clock.nowUs();
    this.#parser = new StderrParser((line) => this.#log(line));
    this.#reader = new FrameReader({
      bytesOf: yuv420Bytes,
      nextNote: () => this.#nextNote(),
      scaledSize: (note) => this.#scaledSize(note),
      pool: context.pool,
      onFrame: (note, planes) => this.#onFrame(note, planes),
    });
  }

  async run(signal: AbortSignal): Promise<StreamEnd> {
    const { ffmpegPath, version, geometry, openPipes } = this.#context;
    const process = await startFfmpeg(
      {
        path: ffmpegPath,
        arguments: ffmpegArguments({ ...this.#options, geometry, dialect: dialectOf(version) }),
        onPictures: (bytes, start, length) => this.#onPictures(bytes, start, length),
        onMessages: (text) => this.#onMessages(text),
      },
      openPipes,
    );
    this.#process = process;
    const stop = () => void process.stop(); // Its end is awaited below, through `exited`.
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    let exit: FfmpegExit;
    try {
      exit = await process.exited;
    } finally {
      signal.removeEventListener('abort', stop);
    }
    this.#tellNotes();
    const isTorn = this.#reader.discard();
    this.#context.logger.debug(
      {
        frames: this.#frames,
        damaged: this.#damaged,
        torn: isTorn,
        code: exit.code,
        signal: exit.signal,
        lines: this.#lines,
      },
      'ffmpeg ended',
    );
    if (this.#fault !== null) throw toAppError(this.#fault);
    return signal.aborted ? stopped : this.#end(exit);
  }

  #onPictures(bytes: Uint8Array, start: number, length: number): number {
    try {
      const outcome = this.#reader.read(bytes, start, length);
      switch (outcome.kind) {
        case 'all':
          return length;
        case 'note-missing':
          // Ordinary pipes: the bytes were faster than the messages, which resume the reading.
          this.#isWaitingForNote = true;
          break;
        case 'wait':
          void outcome.until.then(() => this.#process?.resume()); // Never rejects: it is the sink's promise of room.
          break;
      }
      this.#process?.pause();
      return outcome.usedBytes;
    } catch (thrown) {
      return this.#fail(thrown, length);
    }
  }

  #fail(thrown: unknown, length: number): number {
    this.#fault ??= thrown;
    void this.#process?.stop(); // Awaited through `exited`.
    return length;
  }

  #onMessages(text: string): void {
    this.#firstWordsUs ??= this.#context.clock.nowUs();
    this.#parser.feed(text);
    this.#tellNotes();
    if (this.#isWaitingForNote) {
      this.#isWaitingForNote = false;
      // From its own turn: this may be called from within the reading that found the note missing.
      queueMicrotask(() => this.#process?.resume());
    }
  }

  #nextNote(): FrameNote | undefined {
    const note = this.#parser.takeNote();
    if (note !== undefined) return note;
    this.#process?.pollMessages();
    return this.#parser.takeNote();
  }

  #tellNotes(): void {
    const damaged = this.#parser.takeDamaged();
    if (damaged > 0) {
      this.#damaged += damaged;
      this.#sink.decodeErrors(damaged);
    }
  }

  #scaledSize(note: FrameNote): SizePx {
    const { crop } = this.#options;
    const shown = crop === null ? note : cropRectangle(note.widthPx, note.heightPx, crop);
    return inferenceSize(shown.widthPx, shown.heightPx, this.#context.geometry);
  }

  #onFrame(note: FrameNote, planes: Planes): Promise<void> | undefined {
    this.#frames++;
    this.#tellFacts(note);
    return this.#sink.frame({
      times: this.#timesOf(note),
      sourceWidthPx: note.widthPx,
      sourceHeightPx: note.heightPx,
      image: { format: 'yuv420p', ...planes },
    });
  }

  #tellFacts(note: FrameNote): void {
    const { codec, fps, durationMs } = this.#parser.input;
    const told = `${codec ?? ''} ${note.widthPx}x${note.heightPx}`;
    if (told === this.#factsTold) return;
    this.#factsTold = told;
    const isEndless = this.#options.input.kind !== 'file' || this.#options.input.loop;
    this.#sink.facts({
      codec,
      widthPx: note.widthPx,
      heightPx: note.heightPx,
      declaredFps: fps,
      durationMs: isEndless ? null : durationMs,
    });
  }

  #timesOf(note: FrameNote): FrameTimes {
    const { input, captureClock } = this.#options;
    const { ptsUs } = note;
    const ingestTimeUs = this.#context.clock.nowUs();
    if (captureClock !== null) {
      const isStamped = input.kind === 'http' && input.stampOnArrival;
      const { captureTimeUs, source, errorMs } = captureClock.captureTimeOf(ptsUs, ingestTimeUs);
      return {
        captureTimeUs,
        captureTimeSource: source,
        captureTimeErrorMs: errorMs,
        ingestTimeUs,
        ptsUs: isStamped ? null : ptsUs,
      };
    }
    if (ptsUs === null) {
      return {
        captureTimeUs: ingestTimeUs,
        captureTimeSource: 'ARRIVAL',
        captureTimeErrorMs: null,
        ingestTimeUs,
        ptsUs,
      };
    }
    this.#fileZeroUs ??= this.#fileStartUs() - ptsUs;
    return {
      captureTimeUs: this.#fileZeroUs + ptsUs,
      captureTimeSource: 'CONTAINER',
      // The distances between frames are exact; how far the whole is off nobody knows.
      captureTimeErrorMs: null,
      ingestTimeUs,
      ptsUs,
    };
  }

  /**
   * When the first picture of a file was taken: what the container says of its making; played like a camera, now. Not when ffmpeg was started:
   * it needs a while, longer where many are, and every later picture would seem as much older than it is. Its first words tell that it has
   * opened the file.
   */
  #fileStartUs(): number {
    const isPlayed = this.#options.input.kind === 'file' && this.#options.input.realtime;
    return isPlayed ? (this.#firstWordsUs ?? this.#startUs) : (this.#parser.input.creationTimeUs ?? this.#startUs);
  }

  #log(line: string): void {
    this.#lines++;
    if (this.#lines > loggedLines) return;
    this.#context.logger.debug({ line: scrubSecrets(line) }, 'ffmpeg');
    if (this.#lines === loggedLines) this.#context.logger.debug({}, 'further lines of ffmpeg are only counted');
  }

  /** How it ended, by what came of it and by its words. Its exit code is 0 for streams that broke off and 1 for some that did not. */
  #end(exit: FfmpegExit): StreamEnd {
    const { input } = this.#options;
    if (exit.signal !== null && !exit.wasStopped) {
      const text = `ffmpeg was ended by ${exit.signal}`;
      return { reason: 'UNKNOWN', text, error: new AppError('SIGHTLINE_FFMPEG_FAILED', text, { retryable: true }) };
    }
    const trouble = this.#parser.trouble;
    if (this.#frames > 0) {
      const text = trouble.brokenOff ? 'read to its end, which is torn off' : 'read to its end';
      return { reason: trouble.brokenOff && input.kind === 'file' ? 'CORRUPT' : 'END_OF_STREAM', text, error: null };
    }
    const codec = this.#parser.input.codec ?? 'unknown';
    if (trouble.codecRefused) {
      const text = `the video is in the codec ${codec}, which is not read`;
      const error =
        input.kind === 'file'
          ? new AppError('SIGHTLINE_FILE_CODEC_UNSUPPORTED', text)
          : cameraError('SIGHTLINE_CAMERA_CODEC_UNSUPPORTED', text);
      return { reason: 'CODEC_UNSUPPORTED', text, error };
    }
    if (input.kind !== 'file') {
      const text = this.#damaged > 0 ? 'no picture could be decoded' : 'the stream ended before its first picture';
      return {
        reason: this.#damaged > 0 ? 'CORRUPT' : 'NO_VIDEO',
        text,
        error: cameraError('SIGHTLINE_CAMERA_NO_VIDEO', text),
      };
    }
    if (trouble.noVideo) {
      const text = 'the file has no video';
      return { reason: 'NO_VIDEO', text, error: new AppError('SIGHTLINE_FILE_NOT_VIDEO', text) };
    }
    const text = 'not one picture of the file could be decoded';
    return { reason: 'CORRUPT', text, error: new AppError('SIGHTLINE_FILE_DAMAGED', text) };
  }
}
