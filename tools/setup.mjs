/**
 * Brings a machine to where the next npm script can run: `node tools/setup.mjs start|test|link`.
 * It runs before npm packages are there and on the Node that the machine has (18 or later), so it is plain JavaScript without dependencies.
 * Where nothing is missing it looks at a few files, starts no other program and says nothing.
 *
 * SIGHTLINE_NO_INSTALL=1  never installs, only says what is missing, and fetches no model.
 * SIGHTLINE_FFMPEG=PATH   an ffmpeg of your own; then none is installed.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemNeeds } from './system-needs.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const exitMissing = 4;

/**
 * Decides what to do from what was found; touches nothing.
 * @param {{ npm: 'ok' | 'missing' | 'stale', missing: typeof systemNeeds, noInstall: boolean, platform: string, apt: 'root' | 'sudo' | 'no-rights' | 'absent' }} found
 * @returns {{ kind: 'npm-ci' | 'apt' | 'tell', text: string, packages?: string[], sudo?: boolean, fatal?: boolean }[]}
 */
export function planSetup(found) {
  const steps = [];
  if (found.npm !== 'ok') {
    const state =
      found.npm === 'missing' ? 'npm packages are not installed' : 'npm packages differ from package-lock.json';
    steps.push(
      found.noInstall
        ? { kind: 'tell', fatal: true, text: `${state}; install them with: npm ci` }
        : { kind: 'npm-ci', text: `${state}; installing them (npm ci)` },
    );
  }
  if (found.missing.length === 0) return steps;

  const packages = [...new Set(found.missing.flatMap((need) => need.apt))];
  const names = found.missing.map((need) => need.name).join(', ');
  const fatal = found.missing.some((need) => !need.optional);
  if (!found.noInstall && (found.apt === 'root' || found.apt === 'sudo')) {
    steps.push({
      kind: 'apt',
      packages,
      sudo: found.apt === 'sudo',
      fatal,
      text: `${names} missing; installing with apt-get: ${packages.join(' ')}`,
    });
    return steps;
  }
  const reasons = found.missing.map((need) => `${need.name} (${need.why})`).join(', ');
  steps.push({ kind: 'tell', fatal, text: `missing: ${reasons}. ${howToInstall(found, packages)}` });
  return steps;
}

function howToInstall(found, packages) {
  if (found.apt !== 'absent')
    return `Install with: sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const brews = [...new Set(found.missing.flatMap((need) => need.brew ?? []))];
  if (found.platform === 'darwin' && brews.length > 0) return `Install with: brew install ${brews.join(' ')}`;
  const wanted = found.missing.some((need) => need.apt.includes('ffmpeg'));
  return wanted
    ? 'Install ffmpeg 5 or later (with ffprobe) with the package manager of this system and have it on the PATH, or name it in SIGHTLINE_FFMPEG.'
    : 'The tests that need it are skipped on this system.';
}

/**
 * Compares package-lock.json with the lock that npm keeps inside node_modules: by content, since a fresh clone makes every file time new.
 * A package of the lock may be absent where it is optional (made for another system); all others must be there in the same version.
 */
export function compareLocks(wanted, installed) {
  if (installed === undefined) return 'missing';
  const packages = installed.packages ?? {};
  for (const [path, entry] of Object.entries(wanted.packages ?? {})) {
    if (path === '' || entry.link === true) continue;
    const there = packages[path];
    if (
      there === undefined
        ? entry.optional !== true && entry.devOptional !== true
        : there.version !== entry.version || there.integrity !== entry.integrity
    )
      return 'stale';
  }
  return 'ok';
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function npmState() {
  const wanted = readJson(join(root, 'package-lock.json'));
  if (wanted === undefined) return 'missing';
  const state = compareLocks(wanted, readJson(join(root, 'node_modules/.package-lock.json')));
  // The package `node` fetches its binary in an install script; without it everything else is of no use.
  return state === 'ok' &&
    !existsSync(join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node'))
    ? 'missing'
    : state;
}

function findProgram(name, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function fileMatches(pattern) {
  let candidates = ['/'];
  for (const part of pattern.split('/').filter(Boolean)) {
    if (!part.includes('*')) {
      candidates = candidates.map((folder) => join(folder, part)).filter((path) => existsSync(path));
      continue;
    }
    const [before, after] = part.split('*');
    candidates = candidates.flatMap((folder) => {
      try {
        return readdirSync(folder)
          .filter((name) => name.startsWith(before) && name.endsWith(after))
          .map((name) => join(folder, name));
      } catch {
        return [];
      }
    });
  }
  return candidates.length > 0;
}

function isThere(need) {
  return need.has.some((one) =>
    one.program === undefined ? fileMatches(one.file) : findProgram(one.program) !== undefined,
  );
}

function missingNeeds(mode) {
  const own = process.env.SIGHTLINE_FFMPEG;
  if (own !== undefined && own !== '' && !existsSync(own)) {
    stop(`SIGHTLINE_FFMPEG names a file that is not there: ${own}`);
  }
  return systemNeeds.filter(
    (need) => need.modes.includes(mode) && !(own && need.apt.includes('ffmpeg')) && !isThere(need),
  );
}

function aptAccess() {
  if (process.platform !== 'linux' || findProgram('apt-get') === undefined) return 'absent';
  if (process.getuid?.() === 0) return 'root';
  return findProgram('sudo') !== undefined && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
    ? 'sudo'
    : 'no-rights';
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function stop(text) {
  say(text);
  process.exit(exitMissing);
}

/** The PATH without our own node_modules: `npm ci` removes that folder while it runs, and must not run on a Node inside it. */
function outerPath() {
  const ours = join(root, 'node_modules');
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !resolve(folder).startsWith(ours))
    .join(delimiter);
}

function installNpmPackages() {
  const path = outerPath();
  const npm = findProgram(process.platform === 'win32' ? 'npm.cmd' : 'npm', path);
  if (npm === undefined) stop('npm is not on the PATH; install Node.js 20 or later with npm.');
  const result = spawnSync(npm, ['ci', '--include=dev', '--loglevel=error', '--no-progress'], {
    cwd: root,
    env: { ...process.env, PATH: path },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) {
    const said = `${result.stdout ?? ''}${result.stderr ?? ''}`;
    if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|ERR_SOCKET_TIMEOUT/.test(said)) {
      stop(
        'npm could not reach its registry; connect this machine (or set the registry in npm) and run the command again.',
      );
    }
    process.stderr.write(lastLines(said, 15));
    stop('npm ci failed; its last lines stand above.');
  }
  if (npmState() !== 'ok')
    stop(
      'npm ci ended, yet packages are missing. If npm is set to ignore install scripts, run: npm ci --ignore-scripts=false',
    );
}

function installWithApt(step) {
  const apt = (...args) => {
    const command = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', ...args];
    const [program, ...rest] = step.sudo
      ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive', ...command]
      : command;
    return spawnSync(program, rest, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  const install = () => apt('install', '-y', '--no-install-recommends', ...step.packages);
  // An image without package lists needs an update first; one with old lists may name versions that are gone, which shows in the first try.
  const hasLists = fileMatches('/var/lib/apt/lists/*_Packages') || fileMatches('/var/lib/apt/lists/*_Packages.lz4');
  if (!hasLists) apt('update');
  let result = install();
  if (result.status !== 0 && hasLists) {
    apt('update');
    result = install();
  }
  if (result.status === 0) return;
  process.stderr.write(lastLines(`${result.stdout ?? ''}${result.stderr ?? ''}`, 8));
  const advice = `apt-get could not install ${step.packages.join(' ')}; its last lines stand above.`;
  if (step.fatal) stop(advice);
  say(`${advice} The tests that need them are skipped.`);
}

function lastLines(text, count) {
  return `${text.trimEnd().split('\n').slice(-count).join('\n')}\n`;
}

/** npx looks for a command in node_modules/.bin first; with this link `npx sightline` in the repository runs the code that stands there. */
function linkOwnCommand() {
  if (process.platform === 'win32' || !existsSync(join(root, 'node_modules'))) return;
  const link = join(root, 'node_modules/.bin/sightline');
  const target = '../../cli/bin.mjs';
  try {
    if (readlinkSync(link) === target) return;
  } catch {
    // No link yet, or something else in its place.
  }
  try {
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(target, link);
  } catch (error) {
    say(`could not link the command (${error.message}); use: node cli/bin.mjs`);
  }
}

/** The newest change under a folder or of a file, in milliseconds; 0 where there is nothing. */
function newestChange(path) {
  try {
    const found = statSync(path);
    if (!found.isDirectory()) return found.mtimeMs;
    return Math.max(0, ...readdirSync(path).map((name) => newestChange(join(path, name))));
  } catch {
    return 0;
  }
}

/** The page of a run is built where it is missing or older than its sources; about a second. A run goes on without it. */
function buildPage() {
  const web = join(root, 'web');
  const sources = ['src', 'public', 'index.html', 'vite.config.ts'].map((name) => newestChange(join(web, name)));
  if (Math.max(...sources) <= newestChange(join(web, 'dist/index.html'))) return;
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const node = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(vite)) return;
  say('building the page');
  const result = spawnSync(node, [vite, 'build', web, '--logLevel', 'error'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (result.status === 0) return;
  process.stderr.write(lastLines(`${result.stdout ?? ''}${result.stderr ?? ''}`, 5));
  say('the page could not be built; the run goes on without it.');
}

/** Whether the model that a run prefers is on this machine; where is what cli/model-directories.ts looks through. */
function hasPreferredModel() {
  const { SIGHTLINE_MODELS_DIR: own, SIGHTLINE_STATE_DIR: state, XDG_STATE_HOME: xdg } = process.env;
  const store = join(state || join(xdg ?? join(homedir(), '.local/state'), 'sightline'), 'models');
  const bare = [...(own ? [own] : []), store, join(root, 'models')];
  if (bare.some((folder) => existsSync(join(folder, 'yolox_nano.onnx')))) return true;
  try {
    const versions = join(store, 'yolox-nano');
    return readdirSync(versions).some((version) => existsSync(join(versions, version, 'manifest.yaml')));
  } catch {
    return false;
  }
}

/**
 * YOLOX-nano finds about twice as much as the model in the box, and its weights are not ours to ship: it is fetched once. Where it cannot be,
 * the bundled one runs, at once; what arrived is gone on with at the next start.
 */
function fetchModel() {
  if (hasPreferredModel()) return;
  const node = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  say('fetching the model YOLOX-nano from its official release, once (3.7 MB, Apache-2.0)');
  const result = spawnSync(node, [join(root, 'cli/bin.mjs'), 'models', 'pull', 'yolox-nano', '--patience', '2'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (result.status === 0) return say(lastLines(result.stdout, 2).split('\n')[0]);
  const reason = /error \[\w+\]: (.*)/.exec(result.stderr ?? '')?.[1] ?? 'it took too long';
  say(
    `${reason}. The bundled sightline-nano runs until it is here; \`npx sightline models pull yolox-nano\` tries again.`,
  );
}

function main(mode) {
  if (mode === 'link') return linkOwnCommand();
  if (mode !== 'start' && mode !== 'test') stop('usage: node tools/setup.mjs start|test|link');

  const missing = missingNeeds(mode);
  const noInstall = !['', '0', undefined].includes(process.env.SIGHTLINE_NO_INSTALL);
  const steps = planSetup({
    npm: npmState(),
    missing,
    noInstall,
    platform: process.platform,
    apt: missing.length > 0 ? aptAccess() : 'absent',
  });
  for (const step of steps) {
    say(step.text);
    if (step.kind === 'npm-ci') installNpmPackages();
    else if (step.kind === 'apt') installWithApt(step);
    else if (step.fatal) process.exit(exitMissing);
  }
  linkOwnCommand();
  if (mode !== 'start') return;
  buildPage();
  if (!noInstall) fetchModel();
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main(process.argv[2]);
