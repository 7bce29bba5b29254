import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSecretBox } from '#shared/core/secret-box';
import { loadSecretBox } from '#shared/runtime/secret-key';

const unreadable = expect.objectContaining({ code: 'SIGHTLINE_SECRET_UNREADABLE' }) as Error;
const invalidKey = { code: 'SIGHTLINE_SECRET_KEY_INVALID' };

describe('a secret box', () => {
  const box = createSecretBox(randomBytes(32));

  test('gives back what was sealed, and never seals the same text to the same bytes', () => {
    const sealed = box.seal('hünter2', 'gate');
    expect(box.open(sealed, 'gate')).toBe('hünter2');
    expect(box.seal('hünter2', 'gate')).not.toBe(sealed);
    expect(sealed).not.toContain('nter2');
  });

  test('opens for the camera that it was sealed for and for no other', () => {
    expect(() => box.open(box.seal('secret', 'gate'), 'yard')).toThrow(unreadable);
  });

  test('does not open with another key, nor what was changed or cut', () => {
    const sealed = box.seal('secret', 'gate');
    expect(() => createSecretBox(randomBytes(32)).open(sealed, 'gate')).toThrow(unreadable);
    const [version = '', keyId = '', text = ''] = sealed.split('.');
    const bytes = Buffer.from(text, 'base64url');
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => box.open(`${version}.${keyId}.${changed.toString('base64url')}`, 'gate')).toThrow(unreadable);
    }
    for (const other of ['', 'v1', 'v2.0.0', `${version}.${keyId}.`, sealed.slice(0, -12)])
      expect(() => box.open(other, 'gate')).toThrow(unreadable);
  });
});

describe('the key', () => {
  async function folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'sightline-test-'));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    return path;
  }

  test('comes from the environment or a file, in hex or base64', async () => {
    const key = randomBytes(32);
    const file = join(await folder(), 'key');
    await writeFile(file, `${key.toString('base64')}\n`);
    const one = await loadSecretBox({ SIGHTLINE_SECRET_KEY: key.toString('hex') });
    const other = await loadSecretBox({ SIGHTLINE_SECRET_KEY_FILE: file });
    expect(other.open(one.seal('secret', 'gate'), 'gate')).toBe('secret');
  });

  test('is made once in the state directory, for its owner only, also where two begin at once', async () => {
    const stateDir = join(await folder(), 'state');
    const boxes = await Promise.all(Array.from({ length: 5 }, () => loadSecretBox({}, stateDir)));
    const sealed = boxes[0]?.seal('secret', 'gate') ?? '';
    expect(boxes.map((box) => box.open(sealed, 'gate'))).toEqual(boxes.map(() => 'secret'));
    expect((await stat(join(stateDir, 'secret.key'))).mode & 0o777).toBe(0o600);
  });

  test('is refused without being told when it is none', async () => {
    await expect(loadSecretBox({ SIGHTLINE_SECRET_KEY: 'hunter2' })).rejects.toMatchObject(invalidKey);
    await expect(loadSecretBox({ SIGHTLINE_SECRET_KEY: 'hunter2' })).rejects.not.toThrow('hunter2');
    await expect(loadSecretBox({ SIGHTLINE_SECRET_KEY_FILE: '/nowhere/key' })).rejects.toMatchObject(invalidKey);
    await expect(loadSecretBox({})).rejects.toMatchObject(invalidKey);
  });
});
