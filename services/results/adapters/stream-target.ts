import type { Writable } from 'node:stream';
import type { AppendTarget } from '../core/ports.ts';
import { systemCode, writeError } from './file-errors.ts';

/**
 * Appends to a stream that others own, such as standard output: it is never ended here. With `onReaderGone`, a reader that has what it wanted
 * (`| head`) is no failure: it is told once, and what comes after goes nowhere.
 */
export function createStreamTarget(stream: Writable, name: string, onReaderGone?: () => void): AppendTarget {
  let isReaderGone = false;
  // The failure reaches the writer by its callback; without a listener the same error would end the process.
  const ignore = (): void => {};
  stream.on('error', ignore);
  return {
    append: (bytes) =>
      new Promise((resolve, reject) => {
        if (isReaderGone) {
          resolve();
          return;
        }
        stream.write(bytes, (error) => {
          if (!(error instanceof Error)) {
            resolve();
          } else if (onReaderGone !== undefined && systemCode(error) === 'EPIPE') {
            isReaderGone = true;
            onReaderGone();
            resolve();
          } else {
            reject(writeError(name, error));
          }
        });
      }),
    async close() {
      // The listener stays: a pipe may break after the last write was taken.
    },
  };
}
