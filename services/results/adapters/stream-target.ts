import type { Writable } from 'node:stream';
import type { AppendTarget } from '../core/ports.ts';
import { writeError } from './file-errors.ts';

/** Appends to a stream that others own, such as standard output: it is never ended here. */
export function createStreamTarget(stream: Writable, name: string): AppendTarget {
  // The failure reaches the writer by its callback; without a listener the same error would end the process.
  const ignore = (): void => {};
  stream.on('error', ignore);
  return {
    append: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => {
          if (error instanceof Error) reject(writeError(name, error));
          else resolve();
        });
      }),
    async close() {
      // The listener stays: a pipe may break after the last write was taken.
    },
  };
}
