import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { demoSceneClip } from '../support/demo-scene-clip.ts';
import { prepareRun, until } from '../support/e2e-run.ts';
import { healthUrl, stopService } from '../support/service-processes.ts';

interface Variation {
  readonly left: number;
  readonly right: number;
}

/** How much the brightness varies within the left quarter of the picture, and within the right one. */
async function variation(jpeg: Uint8Array): Promise<Variation> {
  const { width, height } = await sharp(jpeg).metadata();
  const quarter = Math.floor(width / 4);
  const of = async (left: number): Promise<number> => {
    const part = await sharp(jpeg).extract({ left, top: 0, width: quarter, height }).toBuffer();
    const { channels } = await sharp(part).stats();
    return Math.max(...channels.map(({ stdev }) => stdev));
  };
  return { left: await of(0), right: await of(width - quarter) };
}

const left = [
  { x: 0, y: 0 },
  { x: 0.5, y: 0 },
  { x: 0.5, y: 1 },
  { x: 0, y: 1 },
];

test('masks of the settings hide from the beginning; one that is drawn hides from the next pictures on, and goes again', async () => {
  const run = await prepareRun();
  const clip = await demoSceneClip();
  const settings = path.join(run.directory, 'settings.json');
  await writeFile(settings, JSON.stringify({ cameras: { yard: { url: clip, loop: true, masks: [left] } } }));
  const service = run.start('--config', settings, '--http-port', '0', '--log-format', 'json');
  const url = await healthUrl(service);
  const authorization = `Bearer ${(await readFile(path.join(run.stateDir, 'local-token'), 'utf8')).trim()}`;
  const ask = async (method: string, at: string, body: unknown): Promise<void> => {
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/api/v1/cameras${at}`, { method, headers, body: JSON.stringify(body) });
    expect(answer.ok, await answer.text()).toBe(true);
  };
  const seen = async (camera = 'door'): Promise<Variation> => {
    const answer = await fetch(`${url}/api/v1/cameras/${camera}/snapshot.jpg`, { headers: { authorization } });
    // While the camera connects anew there may be no picture in time.
    return answer.ok ? variation(await answer.bytes()) : { left: Number.NaN, right: Number.NaN };
  };
  await until(
    () => seen('yard'),
    (found) => found.left < 1 && found.right > 10,
  );
  await ask('POST', '', { id: 'door', url: clip, loop: true, probe: false, save_anyway: true });
  await until(seen, (found) => found.left > 10 && found.right > 10);

  await ask('PATCH', '/door', { geometry: { zones: [], lines: [], masks: [{ id: 'left', name: '', polygon: left }] } });
  await until(seen, (found) => found.left < 1 && found.right > 10);
  await ask('PATCH', '/door', { geometry: { zones: [], lines: [], masks: [] } });
  await until(seen, (found) => found.left > 10 && found.right > 10);

  expect(await (await fetch(`${url}/metrics`)).text()).toContain('sightline_camera_changes_total{camera="door"} 2');
  await stopService(service);
});
