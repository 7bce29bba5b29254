import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Writes the modules that were loaded to stdout when the process ends. */
const listModules = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  const loaded = [];
  registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
  process.on('exit', () => writeSync(1, loaded.join('\\n')));
`)}`;

test('a run loads no code that only other runs need', () => {
  // Ends where the model is looked for: by then everything is loaded that every run loads.
  const args = ['cli/bin.mjs', 'run', '--camera', 'a=clip.mp4', '--model', 'no-such-model', '--log-format', 'json'];
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', listModules, ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(stderr).toContain('SIGHTLINE_MODEL_NOT_FOUND');
  const loaded = stdout.split('\n');
  expect(loaded.filter((url) => url.endsWith('/cli/run/run.ts'))).toHaveLength(1);
  const onlyForOthers =
    /\/(adapters\/relay|bus\/kafka|codec\/schema-registry|cli\/demo|health-server\.ts|live-display\.ts)|node_modules\/(typebox|fastify|prom-client|log-update|pino-pretty|onnxruntime-node|fluent-ffmpeg|kafkajs|@platformatic)\//;
  expect(loaded.filter((url) => onlyForOthers.test(url))).toEqual([]);
});

test('reading files loads no Kafka client and no registry', () => {
  const args = ['cli/bin.mjs', 'results', 'cat', '-'];
  const { stdout, status } = spawnSync(process.execPath, ['--import', listModules, ...args], {
    cwd: root,
    encoding: 'utf8',
    input: '',
    timeout: 60_000,
  });
  expect(status).toBe(0);
  const loaded = stdout.split('\n');
  expect(loaded.filter((url) => url.endsWith('/topic-results.ts'))).toHaveLength(1);
  const onlyForTopics = /\/bus\/kafka\/(platformatic|kafkajs)|schema-registry|node_modules\/(kafkajs|@platformatic)\//;
  expect(loaded.filter((url) => onlyForTopics.test(url))).toEqual([]);
});
