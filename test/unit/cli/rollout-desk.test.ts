import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openRolloutDesk, type RolloutDeskFlags } from '../../../cli/models/rollout-desk.ts';

function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-rollout-desk-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'local-token'), 'local\n');
  writeFileSync(join(folder, 'named-token'), 'named\n');
  return folder;
}

/** An API that writes down which tokens it was given. */
async function listeningApi() {
  const tokens: unknown[] = [];
  const server = createServer(({ headers }, response) => {
    tokens.push(headers.authorization);
    response.setHeader('content-type', 'application/json').end('{"items":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { tokens, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }; // it listens on a port
}

test('the token comes from where it does for every command that speaks to the API', async () => {
  const { tokens, url } = await listeningApi();
  const stateDir = stateFolder();
  const file = join(stateDir, 'named-token');
  const ask = async (flags: RolloutDeskFlags, environment: Readonly<Record<string, string>>) => {
    const desk = await openRolloutDesk({ url, stateDir, ...flags }, environment);
    await desk.models();
  };
  await ask({ tokenFile: file }, { SIGHTLINE_TOKEN: 'env' });
  await ask({}, { SIGHTLINE_TOKEN: 'env', SIGHTLINE_TOKEN_FILE: file });
  await ask({}, { KAFKA_BROKERS: 'kafka:9092' });
  expect(tokens).toEqual(['Bearer named', 'Bearer env', 'Bearer local']);
  await expect(ask({ tokenFile: join(stateDir, 'absent') }, {})).rejects.toMatchObject({ code: 'SIGHTLINE_USAGE' });
});

test('an API elsewhere without a token is asked nothing', async () => {
  const flags = { url: 'http://192.0.2.1:8080', stateDir: stateFolder() };
  await expect(openRolloutDesk(flags, {})).rejects.toMatchObject({ code: 'SIGHTLINE_USAGE' });
});

test('with services on Kafka the state folder is changed only where that is asked for', async () => {
  const stateDir = stateFolder();
  const environment = { KAFKA_BROKERS: 'kafka:9092' };
  await expect(openRolloutDesk({ stateDir }, environment)).rejects.toMatchObject({ code: 'SIGHTLINE_USAGE' });
  const desk = await openRolloutDesk({ stateDir, offline: true }, environment);
  onTestFinished(() => desk.close());
  expect(desk.place).toBe(`${stateDir}, for the next start`);
});
