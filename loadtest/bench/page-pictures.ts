/**
 * The pictures of the page in docs/images, of a real run on the scene that Sightline draws itself: `node loadtest/bench/page-pictures.ts [FOLDER]`.
 * Wants Chromium and a model that sees people (`sightline models pull yolox-nano`, or SIGHTLINE_MODELS_DIR).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { build } from 'vite';
import { launchChromium } from '../../test/support/chromium.ts';
import { demoSceneClip, shortSceneClip } from '../../test/support/demo-scene-clip.ts';
import { hasRtspServer, startRtspServer } from '../../test/support/rtsp-server.ts';

const root = path.resolve(import.meta.dirname, '../..');
const target = path.resolve(process.argv[2] ?? path.join(root, 'docs/images'));
const waitMs = 60_000;
const folder = mkdtempSync(path.join(tmpdir(), 'sightline-pictures-'));
const clip = await demoSceneClip();
const server = hasRtspServer() ? await startRtspServer({ clip: await shortSceneClip() }) : undefined;
await build({ configFile: path.join(root, 'web/vite.config.ts'), logLevel: 'silent' });
const cameras = ['street', 'yard', 'gate'].flatMap((name) => ['--camera', `${name}=${clip}`]);
const run = spawn(
  process.execPath,
  [
    ...[
      path.join(root, 'cli/bin.mjs'),
      'run',
      ...cameras,
      '--camera',
      'loading-dock=rtsp://127.0.0.1:9/main',
      '--loop',
    ],
    ...['--fps', '2', '--model', 'yolox-nano', '--http-port', '0', '--log-format', 'json'],
    ...['--state-dir', folder, '--results', path.join(folder, 'results')],
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let log = '';
run.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
const browser = await launchChromium();
try {
  let url: string | undefined;
  while (url === undefined) {
    if (run.exitCode !== null) throw new Error(log);
    await sleep(200);
    url = /"url":"(http[^"]+)"/.exec(log)?.[1];
  }
  const token = readFileSync(path.join(folder, 'local-token'), 'utf8').trim();
  const open = async (hash: string, size: { width: number; height: number }, colorScheme: 'light' | 'dark') => {
    const context = await browser.newContext({ viewport: size, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    await page.goto(`${url}/#token=${token}`);
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    return page;
  };
  const large = { width: 1200, height: 760 };
  const phone = { width: 390, height: 780 };
  for (const [name, size, scheme] of [
    ['page-wall-dark', large, 'dark'],
    ['page-wall-phone', phone, 'light'],
  ] as const) {
    const page = await open('#/', size, scheme);
    for (const camera of size === phone ? ['gate'] : ['gate', 'street', 'yard']) await boxesOf(page, camera);
    await keep(page, name);
  }
  for (const [name, size, scheme] of [
    ['page-camera', { width: 1200, height: 1000 }, 'light'],
    ['page-camera-phone', phone, 'dark'],
  ] as const) {
    const page = await open('#/cameras/street', size, scheme);
    await boxesOf(page, 'street');
    // Charts want some seconds to show.
    await sleep(8_000);
    await keep(page, name);
  }
  const events = await open('#/events', large, 'light');
  await events.locator('.event img').first().waitFor();
  await keep(events, 'page-events');
  for (const [name, address, scheme] of [
    ['page-add', server?.url ?? clip, 'light'],
    ['page-add-refused', 'rtsp://127.0.0.1:9/main', 'dark'],
  ] as const) {
    const page = await open('#/add', { width: 1200, height: name === 'page-add' ? 960 : 760 }, scheme);
    await page.getByLabel('Address of the stream').fill(address);
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.locator('[data-usable]').waitFor();
    await keep(page, name);
  }
} finally {
  await browser.close();
  await server?.stop();
  run.kill('SIGINT');
  if (run.exitCode === null) await once(run, 'close');
  rmSync(folder, { recursive: true, force: true });
}

async function boxesOf(page: Page, camera: string): Promise<void> {
  await page.locator(`.live-boxes[data-camera="${camera}"][data-boxes*="person"]`).waitFor();
}

async function keep(page: Page, name: string): Promise<void> {
  const picture = await page.screenshot();
  await sharp(picture)
    .webp({ quality: 82 })
    .toFile(path.join(target, `${name}.webp`));
  await page.context().close();
}
