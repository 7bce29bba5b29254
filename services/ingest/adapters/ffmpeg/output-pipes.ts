import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Pipes from a child to us, as file descriptors: the reading ends do not block, the writing ends are for the child's stdio. */
export interface OutputPipes {
  readonly pictures: PipeEnds;
  readonly messages: PipeEnds;
}

export interface PipeEnds {
  readonly readFd: number;
  readonly writeFd: number;
}

/**
 * Real pipes by way of mkfifo. Node's own stdio are socket pairs with a fresh 64 kB buffer per read, at twice the cost of a frame; and the
 * messages can be read here and now, when the frame that they speak of has come. Null where there is no mkfifo: then Node's have to do.
 * The names are gone before this returns, so nobody else can open them.
 */
export async function openOutputPipes(): Promise<OutputPipes | null> {
  // 0700, and a name that nobody guesses.
  const folder = await mkdtemp(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'sightline-'));
  try {
    const names = ['pictures', 'messages'].map((name) => join(folder, name));
    await promisify(execFile)('mkfifo', ['-m', '600', ...names], { timeout: 5_000 });
    const opened: PipeEnds[] = [];
    try {
      for (const name of names) opened.push(openPipe(name));
    } catch (error) {
      for (const ends of opened) closePipe(ends);
      throw error;
    }
    const [pictures, messages] = opened;
    return pictures === undefined || messages === undefined ? null : { pictures, messages };
  } catch {
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All that are open, in the order of the child's stdio from 1 on. */
export function pipesOf({ pictures, messages }: OutputPipes): readonly PipeEnds[] {
  return [pictures, messages];
}

/** Closes both ends; for pipes that no child took over. */
export function closePipe(ends: PipeEnds): void {
  closeSync(ends.writeFd);
  closeSync(ends.readFd);
}

function openPipe(path: string): PipeEnds {
  // The reading end first and without blocking, else each open would wait for the other.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { readFd, writeFd: openSync(path, constants.O_WRONLY) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}
