import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { AppError, toAppError } from '#shared/core/errors';
import { answerOf, ApiFailure, openApi, type Api } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { readCameras } from '../camera/camera-actions.ts';
import { print } from '../results/output.ts';
import { statusText, type StatusView } from './status-text.ts';

const shortestIntervalS = 0.5;

/** Prints the state of everything: once, or again and again on a terminal. */
export async function showStatus(
  flags: ApiFlags & { readonly once?: true; readonly json?: true; readonly interval: number },
): Promise<void> {
  if (!(flags.interval >= shortestIntervalS))
    throw new AppError('SIGHTLINE_USAGE', `--interval is ${shortestIntervalS} s or more`);
  const api = await openApi(flags);
  const first = await readStatus(api);
  if (flags.json === true) await print(`${JSON.stringify(first, null, 2)}\n`);
  else if (flags.once === true || !process.stdout.isTTY)
    await print(statusText(first, { nowMs: Date.now(), columns: Infinity, rows: Infinity }));
  else await follow(api, first, flags.interval * 1000);
}

async function readStatus(api: Api): Promise<StatusView> {
  const [cameras, system] = await Promise.all([
    readCameras(api),
    answerOf(api, api.client.GET('/api/v1/system')).catch((error: unknown) => {
      // A token for some cameras does not see the whole.
      if (error instanceof ApiFailure && error.code === 'SIGHTLINE_FORBIDDEN') return null;
      throw error;
    }),
  ]);
  return { system, cameras };
}

async function follow(api: Api, first: StatusView, intervalMs: number): Promise<void> {
  const { stdout } = process;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const draw = createLogUpdate(stdout, { showCursor: true });
  let view = first;
  let trouble = '';
  try {
    while (!stopped.signal.aborted) {
      // One line stays free: the cursor stands there.
      const size = { nowMs: Date.now(), columns: stdout.columns, rows: stdout.rows - 2 };
      draw(statusText(view, size) + trouble);
      // An interruption ends the wait, and the loop with it.
      await sleep(intervalMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      try {
        view = await readStatus(api);
        trouble = '';
      } catch (error) {
        trouble = `${toAppError(error).message}; trying again`;
      }
    }
  } finally {
    draw.done();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
