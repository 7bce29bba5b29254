import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { shortSceneClip } from '../support/demo-scene-clip.ts';
import { prepareRun, processTree, until, type E2eRun } from '../support/e2e-run.ts';
import { hasRtspServer, startRtspServer, type RtspServer } from '../support/rtsp-server.ts';
import { runSightline, startSightline } from '../support/run-sightline.ts';

const user = 'viewer';
/** Hard to carry: a URL would end at its characters if they were not escaped. */
const password = 'c4nary/p@ss:w%rd#';
/** What an eye, or a search, would know it by. */
const forms = [
  password,
  encodeURIComponent(password),
  Buffer.from(`${user}:${password}`).toString('base64'),
  Buffer.from(password).toString('base64').replace(/=+$/, ''),
  'c4nary',
];

/** The places that hold the password, by name: none should. */
function leaks(places: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(places).flatMap(([name, text]) => (forms.some((form) => text.includes(form)) ? [name] : []));
}

async function filesBelow(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const texts = files.map(async (file) => [file, await readFile(file, 'latin1')] as const);
  return Object.fromEntries<string>(await Promise.all(texts));
}

interface Proc {
  readonly pid: string;
  readonly commandLine: string;
  readonly environment: string;
  readonly environmentMode: number;
}

async function readProcesses(root: number): Promise<readonly Proc[]> {
  const read = async (pid: string): Promise<Proc> => ({
    pid,
    commandLine: await readFile(`/proc/${pid}/cmdline`, 'latin1'),
    environment: await readFile(`/proc/${pid}/environ`, 'latin1'),
    environmentMode: (await stat(`/proc/${pid}/environ`)).mode & 0o777,
  });
  return Promise.all((await processTree(root)).map(read));
}

interface Observed {
  readonly outputs: Readonly<Record<string, string>>;
  readonly own: Proc | undefined;
  readonly children: readonly Proc[];
}

/** Runs at debug level with a port, looks at everything while pictures come, stops it, and looks at what it left behind. */
async function observe(run: E2eRun, kind: 'avro' | 'jsonl', cameraArguments: readonly string[]): Promise<Observed> {
  const output = path.join(run.directory, 'kept');
  await mkdir(output);
  const base = ['run', '--model', run.model, '--state-dir', run.stateDir, '--http-port', '0', '--log-level', 'debug'];
  const results = path.join(output, `out.${kind}`);
  const environment = { CAMERA_PASSWORD: password, CAMERA_USER: user, ...run.environment };
  const running = startSightline(
    [...base, '--results', results, '--summary', path.join(output, 's.json'), ...cameraArguments],
    environment,
  );
  await running.untilStderr('"ONLINE"');
  const [, url] = /"url":"(http:[^"]+)"/.exec(running.output().stderr) ?? [];
  const get = async (route: string): Promise<string> => (await fetch(`${url ?? ''}${route}`)).text();
  const metrics = await until(
    () => get('/metrics'),
    (text) => /sightline_frames_received_total\{camera="a"\} [1-9]/.test(text),
  );
  const pages = { metrics, readyz: await get('/readyz'), healthz: await get('/healthz') };
  const processes = await readProcesses(running.child.pid ?? 0);
  running.child.kill('SIGTERM');
  const ended = await running.finished;
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(ended.stderr, 'the debug log says what ffmpeg said').toContain('"level":"debug"');
  const cat = await runSightline(['results', 'cat', results]);
  expect(cat.stdout).toContain('detection_frame');
  return {
    outputs: {
      stdout: ended.stdout,
      stderr: ended.stderr,
      'results cat': cat.stdout,
      ...pages,
      ...(await filesBelow(output)),
      ...(await filesBelow(run.stateDir)),
    },
    own: processes.find(({ pid }) => pid === String(running.child.pid)),
    children: processes.filter(({ pid }) => pid !== String(running.child.pid)),
  };
}

async function guardedCamera(): Promise<{ server: RtspServer; address: string }> {
  const server = await startRtspServer({ clip: await shortSceneClip(), user, password });
  onTestFinished(() => server.stop());
  return { server, address: `127.0.0.1:${server.port}/live` };
}

function expectNoLeak({ outputs, children }: Observed): void {
  expect(Object.keys(outputs).length).toBeGreaterThan(8);
  expect(leaks(outputs)).toEqual([]);
  expect(children.length, 'ffmpeg runs').toBeGreaterThan(0);
  expect(leaks(Object.fromEntries(children.map((proc) => [`argv of ${proc.commandLine}`, proc.commandLine])))).toEqual(
    [],
  );
  // Not even ffmpeg, which is of the same user, is given it.
  expect(
    leaks(Object.fromEntries(children.map((proc) => [`environ of ${proc.commandLine}`, proc.environment]))),
  ).toEqual([]);
}

describe.skipIf(!hasRtspServer())('a password of a camera', () => {
  it('given as ${NAME} on the command line appears nowhere but in our own environment, which others cannot read', async () => {
    const { address } = await guardedCamera();
    const run = await prepareRun();
    const camera = `a=rtsp://\${CAMERA_USER}:\${CAMERA_PASSWORD}@${address}`;
    const observed = await observe(run, 'avro', ['--camera', camera]);
    expectNoLeak(observed);
    expect(leaks({ argv: observed.own?.commandLine ?? '' })).toEqual([]);
    expect(observed.own?.environment).toContain(password);
    expect(observed.own?.environmentMode).toBe(0o400);
  });

  it('given in the environment to a configuration file appears nowhere', async () => {
    const { address } = await guardedCamera();
    const run = await prepareRun();
    const file = path.join(run.directory, 'cameras.yaml');
    await writeFile(file, `cameras:\n  a:\n    url: 'rtsp://\${CAMERA_USER}:\${CAMERA_PASSWORD}@${address}'\n`);
    const observed = await observe(run, 'jsonl', ['--config', file]);
    expectNoLeak(observed);
    expect(leaks({ argv: observed.own?.commandLine ?? '' })).toEqual([]);
  });

  it('given in a password file appears nowhere', async () => {
    const { address } = await guardedCamera();
    const run = await prepareRun();
    const secret = path.join(run.directory, 'password');
    await writeFile(secret, `${password}\n`, { mode: 0o600 });
    const file = path.join(run.directory, 'cameras.yaml');
    await writeFile(file, `cameras:\n  a:\n    url: rtsp://${user}@${address}\n    password_file: ${secret}\n`);
    const observed = await observe(run, 'avro', ['--config', file]);
    expectNoLeak(observed);
    expect(leaks({ argv: observed.own?.commandLine ?? '' })).toEqual([]);
  });

  it('typed into a URL on the command line stays in our own argv, as docs/cli.md says, and goes no further', async () => {
    const { server } = await guardedCamera();
    const run = await prepareRun();
    const observed = await observe(run, 'jsonl', ['--camera', `a=${server.urlWithCredentials}`]);
    expectNoLeak(observed);
    expect(leaks({ argv: observed.own?.commandLine ?? '' })).toEqual(['argv']);
    const documentation = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    expect(documentation).toMatch(/password_file/);
    expect(documentation).toMatch(/process list/);
  });
});

describe('a password in what is refused', () => {
  const typed = 'c4nary-typed';
  it.each([
    ['a URL of an unknown kind', ['--camera', `a=ftp://u:${typed}@h/x`]],
    ['a URL that cannot be parsed', ['--camera', `a=rtsp://u:${typed}/#@h:99999/x`]],
    ['a URL with a control character', ['--camera', `a=rtsp://u:${typed}\u0001@h/x`]],
    ['a camera without a name', ['--camera', `rtsp://u:${typed}@h/x?a=b`]],
    ['a wrong argument', [`rtsp://u:${typed}@h/x`]],
    ['a wrong option', [`--camara=a=rtsp://u:${typed}@h/x`]],
    [
      'a URL with the password in its query',
      ['--camera', `a=rtsp://127.0.0.1:1/x?user=a&password=${typed}`, '--until-end'],
    ],
    ['a URL with a slash too few', ['--camera', `a=rtsp:/u:${typed}@h/x`, '--until-end']],
    ['a URL with a space before it', ['--camera', `a= rtsp://u:${typed}@h/x`, '--until-end']],
    ['a URL without its beginning', ['--camera', `a=u:${typed}@h/x`, '--until-end']],
  ])('is not repeated: %s', async (_what, args) => {
    const run = await prepareRun();
    const ended = await run.run(...args, '--log-level', 'debug');
    expect([2, 3]).toContain(ended.code);
    expect(ended.stderr).toMatch(/^error \[SIGHTLINE_/m);
    expect(ended.stderr + ended.stdout).not.toContain(typed);
  });

  it.each([
    ['a setting of the wrong kind', (secret: string) => `cameras:\n  a:\n    url: [${secret}]\n`],
    ['an unknown setting', (secret: string) => `cameras:\n  a:\n    url: x.mp4\n    pasword: ${secret}\n`],
    ['broken YAML', (secret: string) => `cameras:\n  a: {url: "rtsp://u:${secret}@h/x\n`],
  ])('is not repeated from a configuration file: %s', async (_what, text) => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'cameras.yaml');
    await writeFile(file, text(typed));
    const ended = await run.run('--config', file, '--log-level', 'debug');
    expect(ended.code, ended.stderr).toBe(2);
    expect(ended.stderr).toMatch(/^error \[SIGHTLINE_/m);
    expect(ended.stderr + ended.stdout).not.toContain(typed);
  });
});
