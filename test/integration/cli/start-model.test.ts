import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { chooseModel } from '../../../cli/models/chosen-model.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { testDataPath } from '../../support/test-data.ts';

const run = promisify(execFile);
const shipped = join(import.meta.dirname, '../../../models');

/** What `npm start` does before the run, with models from a server of our own. Gives what it says, and what a run would choose then. */
async function prepareStart(answer: RequestListener) {
  const stateDir = await mkdtemp(join(tmpdir(), 'sightline-start-'));
  onTestFinished(() => rm(stateDir, { recursive: true }));
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const mirror = `http://127.0.0.1:${port}`;
  const environment = { ...process.env, SIGHTLINE_STATE_DIR: stateDir, SIGHTLINE_MODEL_MIRROR: mirror };
  const prepare = async (): Promise<string> => {
    const env = { ...environment, SIGHTLINE_MODELS_DIR: '', SIGHTLINE_NO_INSTALL: '' };
    return (await run(process.execPath, ['tools/setup.mjs', 'start'], { env })).stderr;
  };
  const chosen = () => chooseModel(createModelLibrary({ directories: [join(stateDir, 'models'), shipped] }), 'auto');
  return { prepare, chosen, asked };
}

test.skipIf(testDataPath('models/yolox_nano.onnx') === undefined)(
  'the first start fetches YOLOX-nano, and no later one',
  async () => {
    const bytes = await readFile(testDataPath('models/yolox_nano.onnx') ?? '');
    const { prepare, chosen, asked } = await prepareStart((_, response) => response.end(bytes));
    expect(await prepare()).toMatch(/fetched: yolox-nano 0\.1\.1rc0, licence Apache-2\.0, sha256 c789161e/);
    expect(await chosen()).toEqual({ nameOrPath: 'yolox-nano' });
    expect(await prepare()).not.toContain('YOLOX');
    expect(asked).toEqual(['/yolox_nano.onnx']);
  },
);

test('where nothing answers, the start says so and goes on with the bundled model', async () => {
  const { prepare, chosen } = await prepareStart(() => undefined);
  expect(await prepare()).toMatch(/could not be fetched: nothing came in time.* The bundled sightline-nano runs/);
  expect((await chosen()).nameOrPath).toBe('sightline-nano');
});
