/**
 * Has schemathesis (PyPI, in an environment of its own under node_modules/.cache) try every route of docs/openapi.json on a real run: what it
 * makes up from the schemas, right and wrong. Fails where the API answers with a server error, or with something that its document does not say.
 *
 *   npm run fuzz:api -- --seconds 120
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '120' }, seed: { type: 'string', default: '1' } },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const environment = path.join(root, 'node_modules/.cache/schemathesis');
const schemathesis = path.join(environment, 'bin/schemathesis');
const startTimeoutMs = 120_000;
/** Streams never end, and the fuzzer waits for the end of an answer; and it would revoke its own token, after which everything is refused. */
const leftOut = '(/results|/live|/live\\.mjpeg|/snapshot\\.jpg|/tokens/\\{id\\})$';
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'use_after_free',
];

if (!existsSync(schemathesis)) {
  must('python3', ['-m', 'venv', environment]);
  must(path.join(environment, 'bin/pip'), ['install', '--quiet', 'schemathesis>=4,<5']);
}
const folder = mkdtempSync(path.join(tmpdir(), 'sightline-fuzz-'));
const run = spawn(
  process.execPath,
  [
    ...[path.join(root, 'cli/bin.mjs'), 'run', '--http-port', '0', '--log-format', 'json'],
    ...['--camera', 'idle=rtsp://127.0.0.1:9/', '--state-dir', folder, '--results', path.join(folder, 'results')],
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let log = '';
run.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
try {
  const url = await urlOf();
  const token = readFileSync(path.join(folder, 'local-token'), 'utf8').trim();
  const fuzzer = spawn(
    schemathesis,
    [
      ...['run', `${url}/openapi.json`, '--url', url, '-H', `Authorization: Bearer ${token}`],
      ...['--checks', checks.join(','), '--exclude-path-regex', leftOut, '--continue-on-failure'],
      ...['--max-time', options.seconds, '--seed', options.seed, '--request-timeout', '20', '--no-color'],
    ],
    { stdio: 'inherit', cwd: folder },
  );
  const [code] = (await once(fuzzer, 'close')) as [number | null];
  const faults = log.split('\n').filter((line) => line.includes('"request failed"'));
  process.stdout.write(`${faults.length} faults in the log of the run\n${faults.slice(0, 20).join('\n')}\n`);
  process.exitCode = code === 0 && faults.length === 0 && run.exitCode === null ? 0 : 1;
} finally {
  run.kill('SIGINT');
  if (run.exitCode === null) await once(run, 'close');
  rmSync(folder, { recursive: true, force: true });
}

async function urlOf(): Promise<string> {
  const endMs = Date.now() + startTimeoutMs;
  while (Date.now() < endMs) {
    const url = /"url":"(http[^"]+)"/.exec(log)?.[1];
    if (url !== undefined) return url;
    if (run.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`the run does not serve its API:\n${log}`);
}

function must(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
