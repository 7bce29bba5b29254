import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import type { RunReport } from '../../cli/run/run-report.ts';
import { runSightline, startSightline, temporaryDirectory, type FinishedRun } from './run-sightline.ts';
import { writeTinyModel, type TinyModelOptions } from './tiny-model.ts';

/** What `sightline run` needs, in a directory of the test's own. */
export interface E2eRun {
  readonly directory: string;
  readonly results: string;
  readonly summary: string;
  readonly stateDir: string;
  readonly model: string;
  /** `run` with model, state, results and summary; the cameras come behind. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  run(...more: readonly string[]): Promise<FinishedRun>;
  start(...more: readonly string[]): ReturnType<typeof startSightline>;
  /** Process ids of decoders that this run started and that still live. */
  livingDecoders(): Promise<readonly string[]>;
  /** Proves the accounts by the command that users have. */
  verify(...more: readonly string[]): Promise<FinishedRun>;
  report(): Promise<RunReport>;
}

export async function prepareRun(model: TinyModelOptions = {}): Promise<E2eRun> {
  const directory = await temporaryDirectory();
  const results = path.join(directory, 'out.avro');
  const summary = path.join(directory, 'summary.json');
  const stateDir = path.join(directory, 'state');
  const manifest = await writeTinyModel(path.join(directory, 'models'), model);
  const pidFile = path.join(directory, 'decoder-pids');
  const environment = { SIGHTLINE_FFMPEG: await writeCountedFfmpeg(directory, pidFile), SIGHTLINE_NO_INSTALL: '1' };
  const base = ['run', '--model', manifest, '--state-dir', stateDir, '--results', results, '--summary', summary];
  return {
    directory,
    results,
    summary,
    stateDir,
    model: manifest,
    arguments: base,
    environment,
    run: (...more) => runSightline([...base, ...more], environment),
    start: (...more) => startSightline([...base, ...more], environment),
    livingDecoders: () => livingProcesses(pidFile),
    verify: (...more) => runSightline(['results', 'verify', results, ...more]),
    // Written by the run that has just ended.
    report: async () => JSON.parse(await readFile(summary, 'utf8')) as RunReport,
  };
}

/** A failure as users see it: one error line with its code, the advice, the exit code, and nothing that only we understand. */
export function expectFailure(run: FinishedRun, code: string, exitCode: number): void {
  expect(run, run.stderr).toMatchObject({ code: exitCode, signal: null });
  const errorLines = run.stderr.split('\n').filter((line) => line.startsWith('error ['));
  expect(errorLines, run.stderr).toHaveLength(1);
  expect(errorLines[0]).toContain(`error [${code}]: `);
  expect(run.stderr).toMatch(/^what to do: \S/m);
  expect(run.stderr, 'no stack trace').not.toMatch(/^\s+at |\\n\s+at /m);
}

/** Polls until `read` gives what `isEnough` accepts; says what it was at the end where it does not. */
export async function until<T>(read: () => Promise<T>, isEnough: (value: T) => boolean, limitMs = 30_000): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await read();
    if (isEnough(value)) return value;
    if (performance.now() > deadline) throw new Error(`stalled after ${limitMs} ms at ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The process and all that it started, and they. */
export async function processTree(root: number): Promise<readonly string[]> {
  const parents = new Map<string, string>();
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The name in parentheses may hold anything, even parentheses.
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const tree = [String(root)];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** An ffmpeg that leaves its process id behind, so that a test can tell whether it is gone. */
async function writeCountedFfmpeg(directory: string, pidFile: string): Promise<string> {
  const wrapper = path.join(directory, 'ffmpeg');
  const real = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';
  await writeFile(wrapper, `#!/bin/sh\necho $$ >> '${pidFile}'\nexec '${real}' "$@"\n`);
  await chmod(wrapper, 0o755);
  return wrapper;
}

async function livingProcesses(pidFile: string): Promise<readonly string[]> {
  const pids = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  const states = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
      // A zombie is gone; its parent, which may be killed, only has not looked.
      return stat !== '' && state !== 'Z' ? [pid] : [];
    }),
  );
  return states.flat();
}
