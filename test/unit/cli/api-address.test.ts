import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findApi } from '../../../cli/api/api-address.ts';

function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-api-address-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'local-token'), 'local\n');
  writeFileSync(join(folder, 'other-token'), 'other\n');
  return folder;
}

test('the address comes from the flag, then the environment, else it is this machine', async () => {
  const environment = { SIGHTLINE_API: 'https://cameras.example/base/#token=x', SIGHTLINE_STATE_DIR: '/nowhere' };
  expect(await findApi({}, { SIGHTLINE_STATE_DIR: '/nowhere' })).toEqual({ url: 'http://127.0.0.1:8080' });
  expect(await findApi({}, environment)).toEqual({ url: 'https://cameras.example/base' });
  expect(await findApi({ url: 'http://[::1]:1/' }, environment)).toEqual({ url: 'http://[::1]:1' });
});

test('the token comes from the file that was named, then the environment, else from a run on this machine', async () => {
  const SIGHTLINE_STATE_DIR = stateFolder();
  const tokenFile = join(SIGHTLINE_STATE_DIR, 'other-token');
  expect(await findApi({ tokenFile }, { SIGHTLINE_TOKEN: 'env' })).toMatchObject({ token: 'other' });
  expect(await findApi({}, { SIGHTLINE_TOKEN: 'env', SIGHTLINE_TOKEN_FILE: tokenFile })).toMatchObject({
    token: 'env',
  });
  expect(await findApi({}, { SIGHTLINE_TOKEN_FILE: tokenFile })).toMatchObject({ token: 'other' });
  expect(await findApi({}, { SIGHTLINE_STATE_DIR })).toMatchObject({ token: 'local' });
});

test('the token of a run here is not given to another machine', async () => {
  const SIGHTLINE_STATE_DIR = stateFolder();
  const elsewhere = await findApi({ url: 'http://192.0.2.1:8080' }, { SIGHTLINE_STATE_DIR });
  expect(elsewhere).toEqual({ url: 'http://192.0.2.1:8080' });
});

test.each(['ftp://h/', 'h:8080', '', 'http://user:pw@h/'])('%j is no address of an API', async (url) => {
  await expect(findApi({ url }, {})).rejects.toMatchObject({ code: 'SIGHTLINE_USAGE' });
});
