import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readObjectContainer, type RecordFilePart } from '#shared/codec/object-container-reader';
import { AppError } from '#shared/core/errors';
import { readError } from './adapters/file-errors.ts';
import { readJsonLines } from './adapters/json-lines-reader.ts';
import { statusPathBeside } from './core/destination.ts';

/** A part of a results file, with the file it stands in. */
export type ResultsPart = RecordFilePart & { readonly file: string };

const readChunkBytes = 256 * 1024;

export interface FindResultsOptions {
  /** Also the camera statuses that lie beside a file of detections. */
  readonly withStatusesBeside: boolean;
}

/**
 * The results files that the arguments name: `.avro`, `.jsonl`, all of a directory, or `-` for JSON lines on standard input. Throws
 * SIGHTLINE_RESULTS_UNREADABLE for what is not there.
 */
export async function findResultsFiles(inputs: readonly string[], options: FindResultsOptions): Promise<string[]> {
  const files = new Map<string, string>();
  const add = (file: string): void => {
    const key = file === '-' ? file : resolve(file);
    if (!files.has(key)) files.set(key, file);
  };
  for (const input of inputs) {
    if (input === '-') {
      add(input);
      continue;
    }
    if ((await statusOf(input)).isDirectory()) {
      const names = (await readdir(input)).filter(isResultsName).sort();
      if (names.length === 0) throw unreadable(`${input} holds no .avro and no .jsonl file`);
      for (const name of names) add(join(input, name));
      continue;
    }
    if (!isResultsName(input)) throw unreadable(`${input}: only files that end in .avro or .jsonl are read`);
    add(input);
    if (!options.withStatusesBeside || !input.endsWith('.avro')) continue;
    const beside = statusPathBeside(input);
    if (await isThere(beside)) add(beside);
  }
  return [...files.values()];
}

/** Reads files one after another, each to its end. A file that is not one of ours rejects with SIGHTLINE_RESULTS_UNREADABLE. */
export async function* readResults(files: readonly string[]): AsyncGenerator<ResultsPart, void> {
  for (const file of files) {
    try {
      for await (const part of readParts(file)) yield { ...part, file };
    } catch (error) {
      throw readError(file, error);
    }
  }
}

/**
 * Puts files into the order that they were written in, by the first record of each: names say nothing when they come from different
 * runs. Statuses come first, so that the end of each epoch is known when its records are read.
 */
export async function inWrittenOrder(files: readonly string[]): Promise<string[]> {
  const dated: { file: string; time: number }[] = [];
  for (const file of files) dated.push({ file, time: await firstTime(file) });
  return dated.sort((a, b) => a.time - b.time).map(({ file }) => file);
}

async function firstTime(file: string): Promise<number> {
  if (file === '-') return Infinity;
  for await (const part of readResults([file])) {
    if (part.kind === 'end') break;
    if (part.schema === 'detection-frame') return part.records[0]?.header.publish_time ?? 0;
    return file.endsWith('.avro') ? 0 : (part.records[0]?.time ?? 0);
  }
  return 0;
}

function readParts(file: string): AsyncGenerator<RecordFilePart, void> {
  // Without an encoding a stream gives buffers.
  if (file === '-') return readJsonLines(process.stdin as AsyncIterable<Buffer>);
  const chunks = createReadStream(file, { highWaterMark: readChunkBytes }) as AsyncIterable<Buffer>;
  return file.endsWith('.avro') ? readObjectContainer(chunks) : readJsonLines(chunks);
}

function isResultsName(name: string): boolean {
  return name.endsWith('.avro') || name.endsWith('.jsonl');
}

async function statusOf(path: string): Promise<Awaited<ReturnType<typeof stat>>> {
  try {
    return await stat(path);
  } catch (error) {
    throw readError(path, error);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function unreadable(message: string): AppError {
  return new AppError('SIGHTLINE_RESULTS_UNREADABLE', message);
}
