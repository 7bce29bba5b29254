import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const candidates = [process.env['SIGHTLINE_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser'];

/** The browser of this machine; undefined where there is none, and tests of the page are skipped. */
export const chromiumPath = candidates.find((path) => path !== undefined && existsSync(path));

/** Offline as the page must be: a browser that asks its maker for updates at start is slower and less repeatable. */
const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function launchChromium(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('no Chromium on this machine');
  // Chromium refuses to run as root within its sandbox, and a container's tests run as root.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: chromiumPath, args: [...quiet, ...sandbox] });
}
