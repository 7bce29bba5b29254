import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { systemClock } from '#shared/runtime/system-clock';
import { withApi } from '../api/api-options.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { passwordVariable } from '../camera/camera-flags.ts';
import { costText, stepText, verdictText, type VerdictShown } from '../camera/verdict-text.ts';
import { silentLogger } from '../models/silent-logger.ts';

interface ProbeFlags extends ApiFlags {
  readonly transport?: 'tcp' | 'udp';
  readonly allowHttp?: true;
  readonly timeout: number;
  readonly tlsInsecure?: true;
  readonly passwordFile?: string;
  readonly json?: true;
}

const maxTimeoutS = 120;

const help = `
A URL or a file is tried from this machine; with --url, or by the id of a registered camera, the API tries it from the machine that would read it.

Exit code 0 when the camera can be used, 1 when not.`;

/** Adds `sightline camera probe`. */
export function registerCameraProbe(camera: Command): void {
  withApi(camera.command('probe'))
    .description('say in a few seconds whether a camera (or a file) can be used, or why not and what to do')
    .argument('<url|id>', 'rtsp://user:password@host:port/path, a file, or the id of a registered camera')
    .addOption(new Option('--transport <kind>', 'how the video comes (default: tcp)').choices(['tcp', 'udp']))
    .option('--allow-http', 'take http(s) cameras (MJPEG, HLS) too')
    .option('--tls-insecure', 'accept a certificate that cannot be verified')
    .option('--timeout <seconds>', 'time for everything together, when tried from here', parseTimeout, 5)
    .option('--password-file <file>', `read the password from a file; or set ${passwordVariable}`)
    .option('--json', 'print the verdict as JSON')
    .addHelpText('after', help)
    .action(async (target: string, flags: ProbeFlags) => {
      const verdict = (await isTriedThere(target, flags))
        ? await probeThere(target, flags)
        : await probeHere(target, flags);
      process.exitCode = verdict.usable ? 0 : 1;
    });
}

/** A bare word that is no file here is the id of a camera. */
async function isTriedThere(target: string, flags: ProbeFlags): Promise<boolean> {
  if (flags.url !== undefined) return true;
  if (!isCameraId(target)) return false;
  return !(await readable(target));
}

const isCameraId = (text: string): boolean => /^[a-zA-Z0-9_-]{1,64}$/.test(text);

async function readable(file: string): Promise<boolean> {
  const { access } = await import('node:fs/promises');
  return access(file).then(
    () => true,
    () => false,
  );
}

async function probeThere(target: string, flags: ProbeFlags): Promise<VerdictShown> {
  const [{ openApi }, { probeByApi }] = await Promise.all([
    import('../api/api-client.ts'),
    import('../api/probe-by-api.ts'),
  ]);
  const password = await readPassword(flags.passwordFile);
  const { transport, allowHttp, tlsInsecure } = flags;
  const answer = await probeByApi(
    await openApi(flags),
    {
      ...(isCameraId(target) ? { id: target } : { url: target }),
      ...(password === undefined ? {} : { password }),
      ...(transport === undefined ? {} : { transport }),
      ...(allowHttp === undefined ? {} : { allow_http: true }),
      ...(tlsInsecure === undefined ? {} : { tls_insecure: true }),
    },
    (step) => {
      if (flags.json !== true) print(stepText(step));
    },
  );
  print(flags.json === true ? `${JSON.stringify(answer, null, 2)}\n` : verdictText(answer.verdict) + costText(answer));
  return answer.verdict;
}

async function probeHere(url: string, flags: ProbeFlags): Promise<VerdictShown> {
  const { probeCamera } = await import('../../services/ingest/adapters/probe-camera.ts');
  const password = await readPassword(flags.passwordFile);
  const isForPeople = flags.json !== true;
  const verdict = await probeCamera(url, {
    clock: systemClock,
    // What a probe finds goes into its verdict.
    logger: silentLogger,
    timeoutMs: flags.timeout * 1000,
    allowHttp: flags.allowHttp ?? false,
    ...(password === undefined ? {} : { password }),
    relay: { transport: flags.transport ?? 'tcp', tlsInsecure: flags.tlsInsecure ?? false },
    ...(isForPeople ? { onStep: (step) => print(stepText(step)) } : {}),
  });
  print(isForPeople ? verdictText(verdict) : `${JSON.stringify(verdict, null, 2)}\n`);
  return verdict;
}

/** The file goes before the variable; the line break that editors leave at the end is no part of the password. */
async function readPassword(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return process.env[passwordVariable];
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new AppError('SIGHTLINE_USAGE', 'the file of --password-file cannot be read', { cause: error });
  }
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= maxTimeoutS) return seconds;
  throw new AppError('SIGHTLINE_USAGE', `--timeout wants a number of seconds from 1 to ${maxTimeoutS}`);
}

function print(text: string): void {
  process.stdout.write(text);
}
