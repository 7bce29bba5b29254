import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

import { packageVersion } from '#shared/runtime/package-version';

import { runProcess } from '../../support/run-process.ts';

const root = resolve(import.meta.dirname, '../../..');
const bin = join(root, 'cli/bin.mjs');

/** Node as the machine has it, where that is older than ours: people start us with it. */
const olderNode = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
  try {
    return Number.parseInt(execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }), 10) < 24;
  } catch {
    return false;
  }
});

function sightline(args: readonly string[], environment: NodeJS.ProcessEnv = {}, node = process.execPath) {
  const running = runProcess(node, [bin, ...args], { ...process.env, ...environment });
  onTestFinished(() => running.kill());
  return running.ended;
}

describe('the sightline command', () => {
  it('prints its version and help', async () => {
    expect(await sightline(['--version'])).toMatchObject({ code: 0, stdout: `${packageVersion}\n`, stderr: '' });
    const help = await sightline(['--help']);
    expect(help.code).toBe(0);
    for (const word of ['run', 'camera', 'results', 'models', 'doctor', 'Examples:', 'Exit codes:'])
      expect(help.stdout).toContain(word);
  });

  it.each(['run', 'camera', 'results', 'models', 'doctor'])('has help for %s', async (command) => {
    const { code, stdout } = await sightline([command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: sightline ${command}`);
  });

  it('says what it did not understand, and offers what was probably meant', async () => {
    const { code, stderr } = await sightline(['docter']);
    expect(code).toBe(2);
    expect(stderr).toContain("error [SIGHTLINE_USAGE]: unknown command 'docter' (Did you mean doctor?)");
    expect(stderr).toContain('what to do: ');
  });

  it('tells errors as JSON where JSON was asked for', async () => {
    const { code, stderr } = await sightline(['doctor', '--json', '--wrong']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'SIGHTLINE_USAGE' } });
  });

  it.skipIf(olderNode === undefined)(
    'runs on our Node when it is started with an older one, and keeps the exit code',
    async () => {
      expect(await sightline(['--version'], {}, olderNode)).toMatchObject({ code: 0, stdout: `${packageVersion}\n` });
      expect(await sightline(['docter'], {}, olderNode)).toMatchObject({ code: 2 });
    },
  );

  it('is found by npx in the repository', () => {
    const shown = execFileSync('npx', ['sightline', '--version'], { cwd: root, encoding: 'utf8' });
    expect(shown).toBe(`${packageVersion}\n`);
  });
});

describe('sightline doctor', () => {
  it('finds the ffmpeg of this machine and says what it looked at', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sightline-doctor-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    const { stdout } = await sightline(['doctor', '--json', '--results', join(folder, 'results')], {
      SIGHTLINE_STATE_DIR: folder,
    });
    const { rows } = JSON.parse(stdout) as { rows: { check: string; state: string }[] };
    const states = Object.fromEntries(rows.map(({ check, state }) => [check, state]));
    expect(states).toMatchObject({
      node: 'ok',
      ffmpeg: 'ok',
      'ffmpeg parts': 'ok',
      ffprobe: 'ok',
      state: 'ok',
      results: 'ok',
    });
    expect(Object.keys(states)).toContain('model');
  });

  it('names the command that mends what is missing, and ends with 1', async () => {
    const { code, stdout } = await sightline(['doctor'], { SIGHTLINE_FFMPEG: '/nowhere/ffmpeg' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/missing +ffmpeg +\/nowhere\/ffmpeg cannot be run\n +mend: .*install.*ffmpeg/);
  });
});
