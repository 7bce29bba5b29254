import { describe, expect, it } from 'vitest';

interface Need {
  readonly name: string;
  readonly modes: readonly string[];
  readonly optional: boolean;
  readonly apt: readonly string[];
}

interface Step {
  readonly kind: 'npm-ci' | 'apt' | 'tell';
  readonly text: string;
  readonly packages?: readonly string[];
  readonly sudo?: boolean;
  readonly fatal?: boolean;
}

interface Found {
  readonly npm: 'ok' | 'missing' | 'stale';
  readonly missing: readonly Need[];
  readonly noInstall: boolean;
  readonly platform: string;
  readonly apt: 'root' | 'sudo' | 'no-rights' | 'absent';
}

interface SetupTool {
  readonly planSetup: (found: Found) => Step[];
  readonly compareLocks: (wanted: object, installed: object | undefined) => string;
}

// Plain scripts without a declaration; they have to run where no package is installed.
const tool = (name: string): Promise<unknown> => import(new URL(`../../../tools/${name}.mjs`, import.meta.url).href);
const { planSetup, compareLocks } = (await tool('setup')) as SetupTool;
const { systemNeeds } = (await tool('system-needs')) as { readonly systemNeeds: readonly Need[] };

const ffmpeg = systemNeeds.filter(({ apt }) => apt.includes('ffmpeg'));
const extras = systemNeeds.filter(({ optional }) => optional);
const ready: Found = { npm: 'ok', missing: [], noInstall: false, platform: 'linux', apt: 'root' };

describe('planSetup', () => {
  it('does nothing where nothing is missing', () => {
    expect(planSetup(ready)).toEqual([]);
  });

  it('installs npm packages and, once, the package that brings both ffmpeg and ffprobe', () => {
    expect(planSetup({ ...ready, npm: 'missing', missing: ffmpeg })).toMatchObject([
      { kind: 'npm-ci' },
      { kind: 'apt', packages: ['ffmpeg'], sudo: false, fatal: true },
    ]);
  });

  it('uses sudo where it asks for no password', () => {
    expect(planSetup({ ...ready, missing: ffmpeg, apt: 'sudo' })).toMatchObject([{ kind: 'apt', sudo: true }]);
  });

  it('names the command where it may not install', () => {
    const [step] = planSetup({ ...ready, missing: ffmpeg, apt: 'no-rights' });
    expect(step).toMatchObject({ kind: 'tell', fatal: true });
    expect(step?.text).toContain('sudo apt-get install -y --no-install-recommends ffmpeg');
  });

  it('installs nothing when told so', () => {
    const steps = planSetup({ ...ready, npm: 'stale', missing: ffmpeg, noInstall: true });
    expect(steps.map(({ kind }) => kind)).toEqual(['tell', 'tell']);
    expect(steps[0]?.text).toContain('npm ci');
  });

  it('hints at brew on macOS and at a package manager elsewhere', () => {
    expect(planSetup({ ...ready, missing: ffmpeg, apt: 'absent', platform: 'darwin' })[0]?.text).toContain(
      'brew install ffmpeg',
    );
    expect(planSetup({ ...ready, missing: ffmpeg, apt: 'absent', platform: 'linux' })[0]?.text).toContain(
      'SIGHTLINE_FFMPEG',
    );
  });

  it('goes on without what only some tests need', () => {
    expect(extras.length).toBeGreaterThan(0);
    expect(planSetup({ ...ready, missing: extras, apt: 'absent' })).toMatchObject([{ kind: 'tell', fatal: false }]);
  });
});

describe('compareLocks', () => {
  const wanted = {
    packages: {
      '': { name: 'sightline' },
      'node_modules/a': { version: '1.0.0', integrity: 'x' },
      'node_modules/for-another-system': { version: '1.0.0', optional: true },
    },
  };

  it('takes an install that lacks only packages for other systems', () => {
    expect(compareLocks(wanted, { packages: { 'node_modules/a': { version: '1.0.0', integrity: 'x' } } })).toBe('ok');
  });

  it('sees another version, another content and an absent package', () => {
    expect(compareLocks(wanted, { packages: { 'node_modules/a': { version: '1.0.1', integrity: 'x' } } })).toBe(
      'stale',
    );
    expect(compareLocks(wanted, { packages: { 'node_modules/a': { version: '1.0.0', integrity: 'y' } } })).toBe(
      'stale',
    );
    expect(compareLocks(wanted, { packages: {} })).toBe('stale');
  });

  it('calls it missing where there is no install', () => {
    expect(compareLocks(wanted, undefined)).toBe('missing');
  });
});
