import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import colours from 'picocolors';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { probeCamera } from '../../services/ingest/adapters/probe-camera.ts';
import { registerCameraRegistryCommands } from './camera-registry.ts';
import type { ProbeStep, ProbeVerdict } from '../../services/ingest/core/probe-verdict.ts';

// picocolors also colours what goes into a file or a pipe where CI is set.
const pc = process.stdout.isTTY ? colours : colours.createColors(false);

interface ProbeFlags {
  readonly transport: 'tcp' | 'udp';
  readonly allowHttp?: boolean;
  readonly timeout: number;
  readonly tlsInsecure?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

const passwordVariable = 'SIGHTLINE_CAMERA_PASSWORD';
const maxTimeoutS = 120;

/** Adds `sightline camera probe URL`. */
export function registerCameraCommands(program: Command): void {
  const camera = program.command('camera').description('look at cameras, and register them with the services on Kafka');
  registerCameraRegistryCommands(camera);
  camera
    .command('probe')
    .description('say in a few seconds whether a camera (or a file) can be used, or why not and what to do')
    .argument('<url>', 'rtsp://user:password@host:port/path, or a file')
    .addOption(new Option('--transport <kind>', 'how the video comes').choices(['tcp', 'udp']).default('tcp'))
    .option('--allow-http', 'take http(s) cameras (MJPEG, HLS) too')
    .option('--tls-insecure', 'accept a certificate that cannot be verified')
    .option('--timeout <seconds>', 'time for everything together', parseTimeout, 5)
    .option('--password-file <file>', `read the password from a file; or set ${passwordVariable}`)
    .option('--json', 'print the verdict as JSON')
    .addHelpText('after', '\nExit code 0 when the camera can be used, 1 when not.')
    .action(async (url: string, flags: ProbeFlags) => {
      const verdict = await runProbe(url, flags);
      process.exitCode = verdict.usable ? 0 : 1;
    });
}

async function runProbe(url: string, flags: ProbeFlags): Promise<ProbeVerdict> {
  const password = await readPassword(flags.passwordFile);
  const isForPeople = flags.json !== true;
  const verdict = await probeCamera(url, {
    clock: systemClock,
    logger: silentLogger,
    timeoutMs: flags.timeout * 1000,
    allowHttp: flags.allowHttp ?? false,
    ...(password === undefined ? {} : { password }),
    relay: { transport: flags.transport, tlsInsecure: flags.tlsInsecure ?? false },
    ...(isForPeople ? { onStep: (step: ProbeStep) => print(formatStep(step)) } : {}),
  });
  print(isForPeople ? formatVerdict(verdict) : JSON.stringify(verdict, null, 2));
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

function formatStep(step: ProbeStep): string {
  const mark = step.ok ? pc.green('ok  ') : pc.red('fail');
  return `  ${mark} ${step.step.padEnd(9)} ${`${step.duration_ms} ms`.padStart(8)}  ${step.detail}`;
}

function formatVerdict(verdict: ProbeVerdict): string {
  if (!verdict.usable) {
    const head = `${pc.red('not usable')} (${verdict.reason_code}): ${verdict.reason_text}`;
    return `${head}\n  what to do: ${verdict.action ?? ''}`;
  }
  const interval = verdict.keyframe_interval_ms;
  const facts = [
    verdict.reason_text,
    interval === null ? 'key frame interval not seen' : `key frame every ${Math.round(interval) / 1000} s`,
    `clock ${verdict.clock_source}`,
    ...(verdict.transport === null ? [] : [`by ${verdict.transport}`]),
    ...(verdict.is_encrypted ? ['encrypted'] : []),
  ];
  return [`${pc.green('usable')}: ${facts.join(', ')}`, ...verdict.advice.map((line) => `  advice: ${line}`)].join(
    '\n',
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What a probe finds goes into its verdict. */
const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
