import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { AppError } from '#shared/core/errors';
import { closePipe, openOutputPipes, pipesOf, type OutputPipes } from './output-pipes.ts';

export interface FfmpegProcessOptions {
  readonly path: string;
  readonly arguments: readonly string[];
  /**
   * Raw pictures. Returns how many bytes were used; fewer than given only together with `pause`. The bytes may be overwritten after the call.
   */
  readonly onPictures: (bytes: Uint8Array, start: number, length: number) => number;
  /** What ffmpeg wrote to stderr, cut anywhere. */
  readonly onMessages: (text: string) => void;
}

export interface FfmpegExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** True where we ended it. */
  readonly wasStopped: boolean;
}

export interface FfmpegProcess {
  readonly pid: number | null;
  /** All bytes were given out and the process is gone. Never rejects. */
  readonly exited: Promise<FfmpegExit>;
  /** Reads what waits in stderr here and now, so that the note of a frame is there when its bytes are. */
  pollMessages(): void;
  /** Reads no further after the call of `onPictures` that this is called in, so that ffmpeg comes to wait too. */
  pause(): void;
  /** Gives out the bytes kept back, then reads on. */
  resume(): void;
  /** Ends the process: its pipe is closed, it is asked, then killed. Resolves when it is gone. May be called twice. */
  stop(): Promise<void>;
}

const readBufferBytes = 65_536;
/** How long ffmpeg may take to end by itself once nobody reads what it writes, and after SIGTERM. */
const askMs = 300;
const killMs = 1_500;
/** Messages are read with the frames; this is for the time when none come. */
const idlePollMs = 250;
/** A decoder that reports errors without end gets this much of our time at once. */
const messageReadsAtOnce = 16;

const messageBuffer = Buffer.allocUnsafe(readBufferBytes);

/** Starts ffmpeg. Throws SIGHTLINE_FFMPEG_MISSING or SIGHTLINE_FFMPEG_FAILED where it cannot be started. */
export async function startFfmpeg(options: FfmpegProcessOptions, usePipes = openOutputPipes): Promise<FfmpegProcess> {
  const pipes = await usePipes();
  let child: ChildProcess;
  try {
    child = spawn(options.path, [...options.arguments], {
      stdio: [
        'ignore',
        ...(pipes === null ? (['pipe', 'pipe'] as const) : pipesOf(pipes).map(({ writeFd }) => writeFd)),
      ],
      // Out of our process group: Ctrl-C at the terminal is for us, who drain first. No orphan comes of it: what we hold, its pipe and its
      // relay, closes when we end, however we end.
      detached: true,
      // Not ours as it is: a proxy setting would lead the loopback connection away, and secrets have no place in a decoder.
      env: childEnvironment(),
      cwd: '/',
      windowsHide: true,
    });
    await spawned(child);
  } catch (cause) {
    if (pipes !== null) for (const ends of pipesOf(pipes)) closePipe(ends);
    const isMissing = cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'EACCES');
    const code = isMissing ? 'SIGHTLINE_FFMPEG_MISSING' : 'SIGHTLINE_FFMPEG_FAILED';
    throw new AppError(code, `${options.path} could not be started`, { cause, retryable: !isMissing });
  }
  // While we hold a writing end too, the end of ffmpeg would be no end of the stream.
  if (pipes !== null) for (const { writeFd } of pipesOf(pipes)) closeSync(writeFd);
  return attach(child, pipes, options);
}

function attach(child: ChildProcess, pipes: OutputPipes | null, options: FfmpegProcessOptions): FfmpegProcess {
  const gone = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
  child.once('exit', (code, signal) => gone.resolve({ code, signal }));
  let isGone = false;
  void gone.promise.then(() => {
    isGone = true;
  });
  let wasStopped = false;
  let stopping: Promise<void> | null = null;

  let isPaused = false;
  /** Bytes that were read and not yet taken; only while paused. */
  let kept: { bytes: Uint8Array; start: number; end: number } | null = null;

  function offer(bytes: Uint8Array, start: number, end: number): boolean {
    const used = options.onPictures(bytes, start, end - start);
    kept = start + used < end ? { bytes, start: start + used, end } : null;
    return !isPaused;
  }

  const messages = pipes === null ? null : createMessageReader(pipes.messages.readFd, options.onMessages);
  if (messages === null) {
    child.stderr?.setEncoding('latin1');
    child.stderr?.on('data', (text: string) => options.onMessages(text));
  }
  const pictures = pipes === null ? fromStdout(child, offer) : fromPipe(pipes.pictures.readFd, offer);
  const read = closed(pictures);

  const exited = (async (): Promise<FfmpegExit> => {
    await read;
    const { code, signal } = await gone.promise;
    messages?.finish();
    return { code, signal, wasStopped };
  })();

  async function stop(): Promise<void> {
    wasStopped = !isGone;
    kept = null;
    pictures.destroy();
    if (!(await settles(gone.promise, askMs))) {
      child.kill('SIGTERM');
      if (!(await settles(gone.promise, killMs))) child.kill('SIGKILL');
    }
    await exited;
  }

  return {
    pid: child.pid ?? null,
    exited,
    pollMessages: () => messages?.poll(),
    pause() {
      isPaused = true;
    },
    resume() {
      if (!isPaused || pictures.destroyed) return;
      isPaused = false;
      if (kept !== null && !offer(kept.bytes, kept.start, kept.end)) return;
      pictures.resume();
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** One buffer for all reads: a fresh one per 64 kB costs more than the reading. */
function fromPipe(fd: number, offer: (bytes: Uint8Array, start: number, end: number) => boolean): Socket {
  const socket = new Socket({
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: Buffer.allocUnsafe(readBufferBytes),
      // Returning false stops the reading until resume(), so the buffer stays as it is meanwhile.
      callback: (length, bytes) => offer(bytes, 0, length),
    },
  });
  socket.resume();
  return socket;
}

function fromStdout(child: ChildProcess, offer: (bytes: Uint8Array, start: number, end: number) => boolean): Socket {
  // With stdio `pipe` stdout is a net.Socket; its declared type is the more general Readable.
  const stdout = child.stdout as Socket;
  stdout.on('data', (bytes: Buffer) => {
    if (!offer(bytes, 0, bytes.length)) stdout.pause();
  });
  return stdout;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    // A broken pipe ends like an end; what was cut off is seen by the count of bytes.
    socket.on('error', () => undefined);
  });
}

function createMessageReader(fd: number, onMessages: (text: string) => void) {
  let isOpen = true;
  let hasPolled = false;

  function poll(): void {
    hasPolled = true;
    for (let reads = 0; isOpen && reads < messageReadsAtOnce; reads++) {
      let length: number;
      try {
        length = readSync(fd, messageBuffer, 0, readBufferBytes, null);
      } catch {
        // Nothing there now (EAGAIN).
        return;
      }
      if (length === 0) return;
      onMessages(messageBuffer.toString('latin1', 0, length));
      if (length < readBufferBytes) return;
    }
  }

  // Only while frames do not do it: an empty read throws, which costs more than the read.
  const timer = setInterval(() => {
    if (!hasPolled) poll();
    hasPolled = false;
  }, idlePollMs);
  timer.unref();

  return {
    poll,
    finish() {
      clearInterval(timer);
      poll();
      isOpen = false;
      closeSync(fd);
    },
  };
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

function childEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { AV_LOG_FORCE_NOCOLOR: '1', LC_ALL: 'C' };
  for (const name of ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot']) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

async function settles(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs);
  });
  try {
    return await Promise.race([promise.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
