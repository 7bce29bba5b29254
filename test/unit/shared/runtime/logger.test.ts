import { describe, expect, it } from 'vitest';

import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { createLogger, type LoggerOptions } from '#shared/runtime/logger';

const canary = 'hunter2-canary';

async function record(write: (logger: Logger) => void, options: Partial<LoggerOptions> = {}): Promise<string> {
  let text = '';
  const destination = { write: (line: string) => void (text += line) };
  write(await createLogger({ level: 'debug', format: 'json', destination, ...options }));
  return text;
}

describe('createLogger', () => {
  it('writes one JSON line with time, level, bindings, fields and text', async () => {
    const text = await record(
      (logger) => logger.child({ cameraId: 'front' }).info({ attempt: 2 }, 'camera reconnect scheduled'),
      { bindings: { service: 'ingest' } },
    );
    const line = JSON.parse(text) as Record<string, unknown>;
    expect(line).toMatchObject({
      level: 'info',
      service: 'ingest',
      cameraId: 'front',
      attempt: 2,
      msg: 'camera reconnect scheduled',
    });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('leaves out what is below its level', async () => {
    expect(await record((logger) => logger.info({}, 'quiet'), { level: 'warn' })).toBe('');
  });

  const url = `rtsp://admin:${canary}@10.0.0.9/stream`;
  const failure = new AppError('SIGHTLINE_INTERNAL', `could not open ${url}`, {
    cause: new Error('inner', {
      cause: Object.assign(new Error(`spawn ffmpeg -i ${url}`), { spawnargs: ['-i', url] }),
    }),
  });
  const places: [string, (logger: Logger) => void][] = [
    ['the text', (logger) => logger.info({}, `opening ${url}`)],
    ['a field', (logger) => logger.info({ url }, 'opening')],
    ['a field called password', (logger) => logger.info({ camera: { password: canary } }, 'opening')],
    ['a nested list', (logger) => logger.info({ argv: ['ffmpeg', ['-i', url]] }, 'opening')],
    ['an error, its stack and its causes', (logger) => logger.error({ err: failure }, 'failed')],
    ['an error among several', (logger) => logger.error({ err: new AggregateError([failure]) }, 'failed')],
    ['a binding of a child logger', (logger) => logger.child({ source: url }).info({}, 'opening')],
    ['a URL object', (logger) => logger.info({ at: new URL(url) }, 'opening')],
    ['a header', (logger) => logger.info({ line: `Authorization: Basic ${canary}` }, 'request')],
    ['a map', (logger) => logger.info({ cameras: new Map([['front', url]]) }, 'cameras')],
    ['a key', (logger) => logger.info({ [url]: 1 }, 'cameras')],
  ];
  it('shows no stack of a failure that we foresee, wherever a library hangs it', async () => {
    const shown = (error: Error): Error =>
      Object.defineProperty(error, 'stack', { value: 'at library.js:1', enumerable: true });
    const inner = shown(new Error('refused', { cause: shown(new Error('socket')) }));
    const cause = shown(new AggregateError([inner], 'no broker'));
    const err = new AppError('SIGHTLINE_KAFKA_UNREACHABLE', 'away', { cause });
    const text = await record((logger) => logger.error({ err }, 'failed'));
    expect(text).toContain('refused');
    expect(text).not.toContain('library.js');
  });

  it.each(places)('lets no password through in %s', async (_place, write) => {
    const text = await record(write);
    expect(text).not.toBe('');
    expect(text).not.toContain(canary);
  });

  it('masks secrets that it was told, wherever they stand', async () => {
    const text = await record((logger) => logger.info({ said: `wrong password ${canary}!` }, canary), {
      secrets: () => [canary],
    });
    expect(text).not.toContain(canary);
  });

  it('keeps what one needs to find a fault', async () => {
    const text = await record((logger) => logger.error({ err: failure }, 'failed'));
    expect(JSON.parse(text)).toMatchObject({
      err: { type: 'AppError', code: 'SIGHTLINE_INTERNAL', cause: { message: 'inner', cause: { type: 'Error' } } },
    });
    expect(text).toContain('logger.test.ts');
  });

  it('survives fields that JSON cannot hold', async () => {
    const circle: Record<string, unknown> = { frames: 10n, data: new Uint8Array(5), run: () => 1 };
    circle['self'] = circle;
    expect(JSON.parse(await record((logger) => logger.info(circle, 'odd')))).toMatchObject({
      frames: '10',
      data: '[5 bytes]',
      run: '[function]',
      self: '[circular]',
    });
  });

  it('writes for people where asked to', async () => {
    const text = await record((logger) => logger.warn({ waitMs: 5, url }, 'camera reconnect scheduled'), {
      format: 'pretty',
    });
    expect(text).toMatch(/WARN.*camera reconnect scheduled.*waitMs/);
    expect(text).not.toContain(canary);
  });
});
