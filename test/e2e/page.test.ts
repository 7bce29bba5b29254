import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startScriptedApi, type ScriptedApi } from '../../web/dev/scripted-api.ts';
import { chromiumPath, launchChromium } from '../support/chromium.ts';

const root = new URL('../..', import.meta.url).pathname;
const waitMs = 15_000;
const cleanUps: (() => Promise<unknown>)[] = [];
let browser: Browser;
let api: ScriptedApi;

if (chromiumPath === undefined) process.stderr.write('page tests skipped: no Chromium (apt-get install chromium)\n');

describe.skipIf(chromiumPath === undefined)('the page in a browser', () => {
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sightline-page-test-'));
    cleanUps.push(() => rm(folder, { recursive: true, force: true }));
    await build({ configFile: join(root, 'web/vite.config.ts'), logLevel: 'silent', build: { outDir: folder } });
    api = await startScriptedApi({ cameras: 300, port: 0, page: folder });
    cleanUps.push(() => api.close());
    browser = await launchChromium();
    cleanUps.push(() => browser.close());
  });

  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  async function open(token: string, hash = '#/', width = 1280): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 800 }, reducedMotion: 'reduce' });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    await page.goto(`${api.url}/#token=${token}`);
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    if (hash !== '#/') await goTo(page, hash);
    return page;
  }

  it('asks for a token, refuses a wrong one in words and keeps a right one out of the address', async () => {
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    await page.goto(api.url);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('This token is not valid').waitFor();
    await page.getByLabel('Token').fill('viewer');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Cameras' }).waitFor();
    await page.goto(`${api.url}/#token=admin`);
    await page.getByText('admin of the page').waitFor();
    expect(page.url()).not.toContain('admin');
    expect(await context.cookies()).toEqual([]);
  });

  it('draws on a tile the boxes of the frame whose picture it shows', async () => {
    const page = await open('viewer');
    await page.getByRole('searchbox').fill('camera-2');
    await page.getByLabel('State').selectOption('ONLINE');
    const boxes = page.locator('.live-boxes[data-camera="camera-2"][data-message-id]');
    await boxes.waitFor();
    const drawn = await boxes.evaluate((canvas: { dataset: Record<string, string | undefined> }) => ({
      messageId: canvas.dataset['messageId'] ?? '',
      boxes: JSON.parse(canvas.dataset['boxes'] ?? '[]') as unknown,
    }));
    const sent = api.sent.get(drawn.messageId);
    expect(sent?.objects.length).toBeGreaterThan(0);
    expect(drawn.boxes).toEqual(sent?.objects.map(({ class_name, bbox }) => ({ className: class_name, ...bbox })));
    expect(await colouredPixels(page)).toBeGreaterThan(100);
  });

  it('holds sockets for the tiles in view only, of 300 cameras', async () => {
    const page = await open('viewer');
    await page.locator('.live-boxes').first().waitFor();
    await expect.poll(() => api.liveSockets(), { timeout: waitMs }).toBeGreaterThan(0);
    expect(api.liveSockets()).toBeLessThan(30);
    expect(await page.locator('.tile').count()).toBeLessThan(60);
    await page.evaluate('window.scrollTo(0, document.body.scrollHeight)');
    await page.locator('li[aria-posinset="300"]').waitFor();
    expect(api.liveSockets()).toBeLessThan(30);
    await goTo(page, '#/system');
    await expect.poll(() => api.liveSockets(), { timeout: waitMs }).toBe(0);
  });

  it('leads back from a camera to the wall as it was left: filtered and scrolled, by its own link and by that of the browser', async () => {
    const page = await open('viewer');
    await page.getByRole('searchbox').fill('camera-1');
    await page.getByLabel('State').selectOption('ONLINE');
    const scrolledPx = 900;
    for (const back of [() => page.getByRole('link', { name: 'Cameras' }).last().click(), () => page.goBack()]) {
      await page.locator('.tile').first().waitFor();
      // At once, so that the page does not hear of the scrolling before the click.
      await page.evaluate(
        `window.scrollTo(0, ${scrolledPx});
         [...document.querySelectorAll('.tile a')].find((link) => link.getBoundingClientRect().top > 0).click()`,
      );
      await page.getByRole('heading', { name: 'Status' }).waitFor();
      await back();
      await page.locator('.tile').first().waitFor();
      expect(await page.getByRole('searchbox').inputValue()).toBe('camera-1');
      expect(await page.getByLabel('State').inputValue()).toBe('ONLINE');
      await expect.poll(() => page.evaluate('Math.round(window.scrollY)'), { timeout: waitMs }).toBe(scrolledPx);
    }
    expect(page.url()).toContain('#/?q=camera-1&state=ONLINE');
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Cameras' }).click();
    await expect.poll(() => page.getByRole('searchbox').inputValue(), { timeout: waitMs }).toBe('');
  });

  it('says when a camera dies and why, and when it is back', async () => {
    const page = await open('viewer', '#/cameras/camera-3');
    await page.locator('.page-head').getByText('Online').waitFor();
    const { status } = api.cameras.get('camera-3') ?? { status: undefined };
    if (status === undefined) throw new Error('the script has no camera-3');
    Object.assign(status, { state: 'OFFLINE', reason_text: 'The camera did not answer in time.' });
    await page.locator('.page-head').getByText('Offline').waitFor();
    await page.getByText('The camera did not answer in time.').waitFor();
    Object.assign(status, { state: 'ONLINE', reason_text: '' });
    await page.locator('.page-head').getByText('Online').waitFor();
  });

  it('shows how a candidate agrees, and takes it back with a reason', async () => {
    const page = await open('operator', '#/models');
    await page.getByRole('heading', { name: 'yolox-nano 1.1.0-int8: shadow on camera-1, camera-4' }).waitFor();
    await page.getByRole('region', { name: 'Agreement by camera and class' }).getByText('96.5 %').waitFor();
    await page.getByRole('button', { name: 'Roll back…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The same in a shell').click();
    await dialog.getByText(`sightline models rollback yolox-nano@1.1.0-int8 --url ${api.url}`).waitFor();
    await dialog.getByLabel('Reason').fill('sees less at night');
    await dialog.getByRole('button', { name: 'Roll back' }).click();
    await page.getByText('rolled back').waitFor();
    await page.getByRole('button', { name: 'Canary yolox-nano 1.1.0-int8' }).waitFor();
  });

  it('adds a camera by the form once the verdict is good', async () => {
    const page = await open('operator', '#/add');
    await page.getByLabel('Address of the stream').fill('rtsp://user:canary@10.0.0.9/stream');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.locator('[data-usable="true"]').waitFor();
    expect(await page.locator('.step-ok').count()).toBeGreaterThan(4);
    await page.getByLabel('Name for it').fill('loading-dock');
    expect((await page.locator('.command code').allInnerTexts()).join('\n')).not.toContain('canary');
    await page.getByRole('button', { name: 'Save the camera' }).click();
    await page.getByText('loading-dock is registered').waitFor();
    expect(api.cameras.get('loading-dock')?.url).toContain('10.0.0.9');
    await page.locator('.live-boxes[data-camera="loading-dock"][data-message-id]').waitFor();
  });

  it('fills in the address of a stream by what the network answers, and by the make', async () => {
    const page = await open('operator', '#/add');
    await page.getByText('Find the address').click();
    await page.getByRole('button', { name: 'Search the network' }).click();
    await page.getByLabel('Found').selectOption('10.0.0.7');
    await page.getByLabel('User').fill('viewer');
    await page.getByLabel('Password').fill('p@ss');
    await page.getByRole('button', { name: 'Ask it for its streams' }).click();
    await page.getByRole('button', { name: 'Take sub' }).click();
    const address = page.getByLabel('Address of the stream');
    expect(await address.inputValue()).toBe('rtsp://10.0.0.7/sub');
    await page.getByLabel('Make').selectOption('hikvision');
    await page.getByLabel('Channel').fill('3');
    await page.getByRole('button', { name: 'Take the smaller picture' }).click();
    expect(await address.inputValue()).toBe('rtsp://10.0.0.7/Streaming/Channels/302');
    await page.getByLabel('Name for it').fill('by-make');
    expect((await page.locator('.command code').allInnerTexts()).join('\n')).not.toContain('p@ss');
    await page.getByRole('button', { name: 'Save the camera' }).click();
    await page.getByText('by-make is registered').waitFor();
    expect(await page.getByLabel('Password').inputValue()).toBe('');
    const sent = { url: 'rtsp://viewer@10.0.0.7/Streaming/Channels/302', password: 'p@ss' };
    expect(api.cameras.get('by-make')).toMatchObject(sent);
  });

  it('explains an address that does not work, when it is tried and when it is saved', async () => {
    const page = await open('operator', '#/add');
    await page.getByLabel('Address of the stream').fill('rtsp://10.0.0.9/wrong');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.getByText('Nothing listens at the address and port of the camera.').waitFor();
    await page.getByText('What to do: Check the port').waitFor();
    await page.getByLabel('Name for it').fill('wrong-one');
    await page.getByRole('button', { name: 'Save the camera' }).click();
    await page.getByRole('button', { name: 'Save it all the same' }).waitFor();
    expect(api.cameras.has('wrong-one')).toBe(false);
  });

  it('stores a zone that was drawn with the pointer, and a line drawn with the keyboard', async () => {
    const page = await open('operator', '#/cameras/camera-4');
    await page.getByRole('button', { name: 'Draw a zone' }).click();
    const picture = page.getByRole('application');
    const place = await picture.boundingBox();
    if (place === null) throw new Error('the picture has no place');
    for (const [x, y] of [
      [0.25, 0.25],
      [0.75, 0.25],
      [0.5, 0.75],
    ] as const) {
      await picture.click({ position: { x: place.width * x, y: place.height * y } });
    }
    await page.getByLabel('Name of the zone').fill('Loading bay');
    await page.getByRole('button', { name: 'Save the zone' }).click();
    await page.getByRole('button', { name: 'Delete zone Loading bay' }).waitFor();
    const [zone] = api.cameras.get('camera-4')?.geometry.zones as [{ id: string; polygon: { x: number; y: number }[] }];
    expect(zone.id).toBe('loading-bay');
    expect(zone.polygon.map(({ x, y }) => [Math.round(x * 20) / 20, Math.round(y * 20) / 20])).toEqual([
      [0.25, 0.25],
      [0.75, 0.25],
      [0.5, 0.75],
    ]);

    await page.getByRole('button', { name: 'Draw a line' }).click();
    await picture.focus();
    for (const key of ['Enter', 'Shift+ArrowRight', 'Enter']) await page.keyboard.press(key);
    await page.getByLabel('Name of the line').fill('gate');
    await page.getByRole('button', { name: 'Save the line' }).click();
    await page.getByRole('button', { name: 'Delete line gate' }).waitFor();
    expect(api.cameras.get('camera-4')?.geometry.lines).toEqual([
      { id: 'gate', name: 'gate', from: { x: 0.5, y: 0.5 }, to: { x: 0.6, y: 0.5 } },
    ]);
  });

  it('lists what happened, by camera and kind, with the picture where there is one', async () => {
    const page = await open('viewer', '#/events');
    await page.getByText('Nothing listens at the address and port of the camera.').waitFor();
    await page.getByRole('img', { name: /^camera-4 at / }).waitFor();
    await page.getByRole('button', { name: 'Show older ones' }).click();
    await page.getByText('Model failed its gate').waitFor();
    expect(await page.locator('.event').count()).toBe(4);
    await page.getByLabel('About').selectOption('Registrations');
    await expect.poll(() => page.locator('.event').count(), { timeout: waitMs }).toBe(1);
    await page.getByText('changed: fps').waitFor();
    await goTo(page, '#/cameras/camera-4');
    await page.getByRole('heading', { name: 'Recent events' }).waitFor();
    await page.locator('.event[data-kind="camera.online"] img').waitFor();
  });

  it('hides from a viewer what a viewer may not do', async () => {
    const page = await open('viewer', '#/cameras/camera-4');
    await page.getByRole('heading', { name: 'Zones, lines and masks' }).waitFor();
    for (const name of ['Draw a zone', 'Save', 'Remove…']) {
      expect(await page.getByRole('button', { name, exact: true }).count()).toBe(0);
    }
    expect(await page.getByRole('link', { name: 'Tokens' }).count()).toBe(0);
    await goTo(page, '#/tokens');
    await page.getByRole('heading', { name: 'Not with this token' }).waitFor();
  });

  it.each([1280, 390])('has no serious finding of axe on any page, %i pixels wide', async (width) => {
    const page = await open('admin', '#/', width);
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const found: string[] = [];
    for (const hash of [
      '#/',
      '#/cameras/camera-4',
      '#/add',
      '#/models',
      '#/events',
      '#/system',
      '#/audit',
      '#/tokens',
    ]) {
      await goTo(page, hash);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('.tile, .legend li, form, table, .rows, .event').first().waitFor();
      await page.evaluate(`${axe}; undefined`);
      const { violations } = await page.evaluate<AxeResults>('axe.run(document)');
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      found.push(...serious.map(({ id, nodes }) => `${hash} ${id}: ${nodes.map(({ html }) => html).join(' ')}`));
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    }
    expect(found).toEqual([]);
  });
});

function goTo(page: Page, hash: string): Promise<unknown> {
  return page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
}

/** How many pixels of the boxes' canvas are drawn on: the boxes are there for the eye too. */
function colouredPixels(page: Page): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.querySelector('.live-boxes[data-message-id]');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let index = 3; index < data.length; index += 4) if (data[index] > 0) count += 1;
    return count;
  })()`);
}
