import { createHash } from 'node:crypto';
import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { CatalogueModel } from '../../../cli/models/model-catalogue.ts';
import { pullModel } from '../../../cli/models/pull-model.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { encodeConstantModel } from '../../support/tiny-model.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sightline-pull-'));
  return () => rm(directory, { recursive: true });
});

const bytes = encodeConstantModel([{ name: 'output', shape: [1, 300, 6], values: new Float32Array(1800) }], {
  shape: [1, 3, 64, 64],
});

function catalogue(url: string): readonly CatalogueModel[] {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const facts = { name: 'known', version: '7', sha256, sizeBytes: bytes.length, licence: 'MIT', about: '' };
  return [{ ...facts, url: `${url}/known.onnx`, family: 'yolo_nms', labels: ['person'] }];
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
}

test('fetches a model, keeps it under its name and leaves nothing else', async () => {
  const url = await serve((_, response) => response.end(bytes));
  const seen: number[] = [];
  const onProgress = (received: number): number => seen.push(received);
  const added = await pullModel({ name: 'KNOWN', directory, catalogue: catalogue(url), onProgress });
  expect(added.manifest).toMatchObject({ name: 'known', version: '7', licence: 'MIT', source: `${url}/known.onnx` });
  expect(seen.at(-1)).toBe(bytes.length);
  expect(await readdir(join(directory, '.downloads'))).toEqual([]);
  await createModelLibrary({ directories: [directory] }).load('known');
});

test('goes on where an interrupted download ended', async () => {
  const ranges: (string | undefined)[] = [];
  const url = await serve(({ headers }, response) => {
    ranges.push(headers.range);
    response.writeHead(206).end(bytes.subarray(100));
  });
  await mkdir(join(directory, '.downloads'));
  await writeFile(join(directory, '.downloads/known.onnx.part'), bytes.subarray(0, 100));
  await pullModel({ name: 'known', directory, catalogue: catalogue(url) });
  expect(ranges).toEqual(['bytes=100-']);
});

test('begins anew where the server cannot go on', async () => {
  const url = await serve((_, response) => response.end(bytes));
  await mkdir(join(directory, '.downloads'));
  await writeFile(join(directory, '.downloads/known.onnx.part'), 'something else');
  await pullModel({ name: 'known', directory, catalogue: catalogue(url) });
});

test('takes the file from a mirror under its own name, or from a disk', async () => {
  const paths: (string | undefined)[] = [];
  const mirror = await serve(({ url }, response) => {
    paths.push(url);
    response.end(bytes);
  });
  const official = catalogue('http://127.0.0.1:9');
  await pullModel({ name: 'known', directory, mirror: `${mirror}/models/`, catalogue: official });
  expect(paths).toEqual(['/models/known.onnx']);
  const from = join(directory, 'from-a-stick.onnx');
  await writeFile(from, bytes);
  expect(await pullModel({ name: 'known', directory, from, catalogue: official })).toMatchObject({ isNew: false });
});

test('a file of another content is thrown away', async () => {
  const changed = Buffer.from(bytes);
  changed[50] = (changed[50] ?? 0) ^ 1;
  const url = await serve((_, response) => response.end(changed));
  await expect(pullModel({ name: 'known', directory, catalogue: catalogue(url) })).rejects.toMatchObject({
    code: 'SIGHTLINE_MODEL_DIGEST_MISMATCH',
  });
  expect(await readdir(join(directory, '.downloads'))).toEqual([]);
});

test.each([
  [
    'answers 404',
    (_: unknown, response: Parameters<RequestListener>[1]) => response.writeHead(404).end(),
    /answered 404/,
  ],
  ['never answers', () => undefined, /nothing came in time/],
  [
    'sends too much',
    (_: unknown, response: Parameters<RequestListener>[1]) => response.end(Buffer.alloc(1e6)),
    /larger/,
  ],
])('says what is wrong and how to do without, where the server %s', async (_, answer, reason) => {
  const url = await serve(answer);
  await expect(pullModel({ name: 'known', directory, catalogue: catalogue(url) })).rejects.toMatchObject({
    code: 'SIGHTLINE_DOWNLOAD_FAILED',
    message: expect.stringMatching(reason) as string,
    action: expect.stringContaining('--from FILE') as string,
  });
});

test('suggests the name that was meant', async () => {
  await expect(pullModel({ name: 'yolox_nan', directory })).rejects.toThrow(/did you mean yolox-nano/);
});
