import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { AppError } from '#shared/core/errors';
import { parseYaml } from '#shared/runtime/load-yaml';
import { answerOf, openApi, type Schemas } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { print } from '../results/output.ts';
import { readPassword, substituteVariables } from '../run/camera-specs.ts';

type Json = Readonly<Record<string, unknown>>;

const maxFileBytes = 64 * 1024 * 1024;
/** One request: well below what the API takes at once, and a few seconds of its time. */
const camerasPerRequest = 1_000;
const bytesPerRequest = 4 * 1024 * 1024;

/** `sightline camera import`. */
export async function importCameras(
  file: string,
  flags: ApiFlags & { readonly update?: true; readonly json?: true },
): Promise<void> {
  const cameras = camerasIn(await readInput(file), process.env);
  const api = await openApi(flags);
  const total: Schemas['ImportAnswer'] = { created: 0, updated: 0, failed: 0, errors: [] };
  let first = 0;
  for (const batch of batchesOf(cameras)) {
    const body = { cameras: batch, ...(flags.update === undefined ? {} : { update: true }) };
    const answer = await answerOf(api, api.client.POST('/api/v1/cameras:import', { body }));
    total.created += answer.created;
    total.updated += answer.updated;
    total.failed += answer.failed;
    for (const error of answer.errors) total.errors.push({ ...error, index: error.index + first });
    first += batch.length;
  }
  await print(flags.json === true ? `${JSON.stringify(total, null, 2)}\n` : importText(total));
  if (total.failed > 0) process.exitCode = 1;
}

function importText({ created, updated, failed, errors }: Schemas['ImportAnswer']): string {
  const lines = errors.map(
    ({ index, id, code, detail }) => `camera ${index + 1}${id === null ? '' : ` (${id})`}: ${detail} [${code}]\n`,
  );
  return `${lines.join('')}${created} registered, ${updated} changed, ${failed} not taken\n`;
}

async function readInput(file: string): Promise<unknown> {
  const what = file === '-' ? 'what came on standard input' : file;
  const content = await (file === '-' ? readAll(process.stdin) : readFile(file, 'utf8')).catch((cause: unknown) => {
    throw new AppError('SIGHTLINE_USAGE', `${file} cannot be read`, { cause, action: 'Check the path.' });
  });
  if (Buffer.byteLength(content) > maxFileBytes)
    throw new AppError('SIGHTLINE_USAGE', `${what} is larger than ${maxFileBytes} bytes`);
  try {
    return JSON.parse(content) as unknown;
  } catch {
    // JSON that is wrong is told as YAML: with its place, and without its text, which may hold passwords.
    return parseYaml(content, { what, maxBytes: maxFileBytes });
  }
}

/** Cameras as the API takes them, from any of the forms that people have them in. Throws SIGHTLINE_USAGE where it is none of them. */
export function camerasIn(
  content: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): readonly unknown[] {
  const listed = isObject(content) ? content['cameras'] : content;
  const cameras: readonly unknown[] | undefined = Array.isArray(listed)
    ? (listed as readonly unknown[])
    : isObject(listed)
      ? Object.entries(listed).map(([id, camera]) => (isObject(camera) ? { id, ...camera } : { id }))
      : undefined;
  if (cameras === undefined || cameras.length === 0) {
    throw new AppError('SIGHTLINE_USAGE', 'there are no cameras in it', {
      action:
        'Give a list of cameras, or `cameras:` with a camera under each id; `sightline camera export` shows the form.',
    });
  }
  return cameras.map((camera) => (isObject(camera) ? complete(camera, environment) : camera));
}

function complete(camera: Json, environment: Readonly<Record<string, string | undefined>>): Json {
  const { password_file: passwordFile, ...rest } = camera;
  const { id, url } = rest;
  const name = typeof id === 'string' ? id : '?';
  return {
    ...rest,
    ...(typeof url === 'string' ? { url: substituteVariables(name, url, environment) } : {}),
    ...(typeof passwordFile === 'string' ? { password: readPassword(name, passwordFile) } : {}),
  };
}

function* batchesOf(cameras: readonly unknown[]): Generator<unknown[], void> {
  let batch: unknown[] = [];
  let bytes = 0;
  for (const camera of cameras) {
    const size = Buffer.byteLength(JSON.stringify(camera));
    if (batch.length === camerasPerRequest || (batch.length > 0 && bytes + size > bytesPerRequest)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(camera);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
