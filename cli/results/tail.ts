import type { RangeOptions } from './results-input.ts';
import { openTopics } from './results-input.ts';
import { print } from './output.ts';
import { jsonLines, textLines } from './record-lines.ts';

/** Prints records of the topics as they come, until SIGINT, SIGTERM or a reader that has gone. */
export async function tail(
  input: string,
  options: Pick<RangeOptions, 'since'> & { readonly camera?: string; readonly json?: true },
): Promise<void> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const results = await openTopics(input, { since: options.since ?? Date.now() });
  try {
    // Scripts and people wait for it: what is written from here on is printed.
    process.stderr.write(`following ${results.topics.join(' and ')}\n`);
    const toLines = options.json === true ? jsonLines : textLines;
    await results.follow(async (part) => {
      if (part.kind === 'undecodable') {
        process.stderr.write(`${part.file}: passed over offset ${part.offset}: ${part.reason}\n`);
        return;
      }
      const lines = toLines(part, options.camera);
      if (lines.length > 0 && !(await print(lines.join('')))) stop();
    }, stopped.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await results.close();
  }
}
