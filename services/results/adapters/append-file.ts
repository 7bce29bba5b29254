import { open, type FileHandle } from 'node:fs/promises';
import { AppError } from '#shared/core/errors';
import type { AppendTarget } from '../core/ports.ts';
import { openError, writeError } from './file-errors.ts';

/**
 * Opens a file that is appended to in whole pieces. `flags`: 'wx' for a file that must not exist yet, 'r+' for an empty one, 'w' for a
 * device or a pipe. A piece that could only be written in part (disk full) is taken back, so that the file stays whole.
 */
export async function openAppendFile(path: string, flags: 'wx' | 'r+' | 'w'): Promise<AppendTarget> {
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (error) {
    throw openError(path, error);
  }
  const isRegular = (await file.stat()).isFile();
  let sizeBytes = 0;

  return {
    async append(bytes) {
      let written = 0;
      try {
        // Writing goes on without complaint into a file that was deleted; nobody would ever read it.
        if (isRegular && (await file.stat()).nlink === 0) throw vanished(path);
        while (written < bytes.length) {
          const position = isRegular ? sizeBytes + written : null;
          written += (await file.write(bytes, written, bytes.length - written, position)).bytesWritten;
        }
      } catch (error) {
        if (isRegular && written > 0) await takeBack(file, sizeBytes);
        throw writeError(path, error);
      }
      sizeBytes += bytes.length;
    },
    async close() {
      try {
        // Once per file, at its end: what is closed survives a power cut.
        if (isRegular) await file.datasync();
      } catch (error) {
        throw writeError(path, error);
      } finally {
        await file.close();
      }
    },
  };
}

async function takeBack(file: FileHandle, sizeBytes: number): Promise<void> {
  try {
    await file.truncate(sizeBytes);
  } catch {
    // The reader knows a torn end, so nothing is lost; the failure that led here is the one to report.
  }
}

function vanished(path: string): AppError {
  return new AppError('SIGHTLINE_RESULTS_WRITE_FAILED', `${path} was deleted while it was being written`);
}
