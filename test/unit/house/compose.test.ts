import { readFileSync } from 'node:fs';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { describe, expect, test } from 'vitest';

interface ComposeService {
  readonly image?: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly cpus?: number;
  readonly pids_limit?: number;
  readonly ports?: readonly string[];
  readonly privileged?: boolean;
  readonly healthcheck?: { readonly test?: unknown; readonly disable?: boolean };
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const text = readFileSync(new URL('../../../docker-compose.yml', import.meta.url), 'utf8');
// The form of the file; what a service lacks is what the tests are about.
const { services } = load(text, { schema: CORE_SCHEMA.withTags(mergeTag) }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
};
const named = Object.entries(services);

/** No check in it: the image has no program but the server. */
const withoutCheck = ['mediamtx'];

describe.each(named)('the container %s', (name, service) => {
  test('has an image of one version', () => {
    // The default of our own image's name is behind a variable.
    expect(service.image).toMatch(/:(\d+\.\d+[\w.-]*|local\})$/);
  });

  test('is not root and cannot become it', () => {
    expect(service.user).toMatch(/^[1-9]\d*:\d+$/);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.privileged).toBeUndefined();
  });

  test('writes to nothing but its volumes and memory', () => {
    expect(service.read_only).toBe(true);
    expect(service.volumes?.join() ?? '').not.toContain('docker.sock');
    // One without a name would stay behind with `down`, and nobody would know what it was.
    for (const volume of service.volumes ?? []) expect(volume).toContain(':');
  });

  test('has limits of memory, processors and processes', () => {
    expect(service.mem_limit).toMatch(/^\d+[mg]$/);
    expect(service.cpus).toBeGreaterThan(0);
    // Docker refuses more than the machine has.
    expect(service.cpus).toBeLessThanOrEqual(2);
    expect(service.pids_limit).toBeGreaterThan(0);
  });

  test('publishes nothing beyond this machine', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  test.skipIf(withoutCheck.includes(name))('says whether it is well, or that it ends', () => {
    const isOurs = service.image?.includes('sightline') === true;
    expect(service.healthcheck?.disable === true || service.healthcheck?.test !== undefined || isOurs).toBe(true);
  });
});

test('what a container waits for is there without a profile', () => {
  for (const [, { depends_on: needs, profiles }] of named) {
    for (const need of Object.keys(needs ?? {})) {
      expect(services[need]).toBeDefined();
      if (profiles === undefined) expect(services[need]?.profiles).toBeUndefined();
    }
  }
});

test('services that are scaled have no name and port of their own', () => {
  for (const name of ['ingest', 'inference']) {
    expect(services[name]).toBeDefined();
    expect(services[name]).not.toHaveProperty('container_name');
    expect(services[name]?.ports).toBeUndefined();
  }
});
