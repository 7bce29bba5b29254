import { parseArgs } from 'node:util';

const faultNames = [
  'kill-worker',
  'stop-worker',
  'freeze-worker',
  'kill-ingest',
  'freeze-ingest',
  'redis-freeze',
  'redis-kill',
  'broker-restart',
  'broker-outage',
] as const;
export type LoadFault = (typeof faultNames)[number];

export interface LoadOptions {
  readonly cameras: number;
  readonly source: 'injected' | 'rtsp';
  /** Only with cameras by RTSP. */
  readonly ingests: number;
  readonly workers: number;
  readonly workersPerProcess: number;
  /** Run by the workers in place of the simulated accelerator. */
  readonly model: string | undefined;
  readonly fps: number;
  readonly durationS: number;
  readonly warmUpS: number;
  readonly simulatedMs: number;
  readonly frameBytes: number;
  readonly deadlineMs: number | null;
  readonly partitions: number;
  readonly sessionS: number;
  readonly redis: boolean;
  readonly faults: readonly LoadFault[];
  readonly cpuProfile: boolean;
  readonly baseline: string | undefined;
  /** Of a baseline's figure; what is worse by more is a regression. */
  readonly tolerance: number;
  readonly out: string;
}

export const help = `npm run loadtest -- [--cameras N] [--workers N] [--fps F] [--duration S] [--fault NAME,…] …

Cameras write frames to a real Kafka; inference workers with a simulated accelerator (a fixed time for each frame, one at a time, no CPU)
write results in transactions; a read_committed reader counts what comes. Starts a broker of its own, or uses the one that KAFKA_BROKERS
names. Writes runs/STAMP/report.json and report.html. Exit code 1 where a frame is lost, repeated or out of order, 3 where a figure is worse
than that of the baseline by more than the tolerance.

  --cameras N              cameras, 1 to 5000 (8)
  --source KIND            injected: frames written straight to the topic; rtsp: cameras by RTSP, read by real ingests (injected)
  --ingests N              with --source rtsp: ingest services, 1 to 32 (2)
  --workers N              inference workers, 1 to 256 (2)
  --workers-per-process N  of them in one process (1); a fault then hits all of a process
  --model NAME             real inference services with this model in place of the simulated accelerator
  --fps F                  frames per second of each camera, 0.01 to 60 (5)
  --duration S             seconds of measuring, 5 to 3600 (30)
  --warm-up S              seconds before it (5)
  --simulated-ms T         time of a frame on the accelerator, 1 to 10000 (20)
  --frame-bytes B          size of an injected picture, 100 to 900000 (20000)
  --deadline-ms D          injected frames older than this are dropped by inference and counted (none)
  --partitions N           of the topics (twice the workers, at least 12)
  --session S              a worker that is silent for so long is given up, 0.5 to 300 (2); more on a machine that is short of processors
  --redis                  boxes are kept in a Redis of its own: a primary, a replica and three Sentinels
  --fault NAME,…           while measuring, one after another: ${faultNames.slice(0, 5).join(', ')},
                           ${faultNames.slice(5).join(', ')} (none)
  --cpu-profile            CPU profiles of the simulated workers and injected cameras, beside the report
  --baseline FILE          report.json of an earlier run of the same load to compare with
  --tolerance SHARE        how much worse a figure may be, 0 to 10 (0.25: a quarter)
  --out DIR                where the run directory is made (runs)
`;

/** Throws a RangeError that says which option is wrong. Undefined: help is wanted. */
export function parseLoadOptions(args: readonly string[]): LoadOptions | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      cameras: text,
      source: text,
      ingests: text,
      workers: text,
      'workers-per-process': text,
      model: text,
      fps: text,
      duration: text,
      'warm-up': text,
      'simulated-ms': text,
      'frame-bytes': text,
      'deadline-ms': text,
      partitions: text,
      session: text,
      redis: flag,
      fault: text,
      'cpu-profile': flag,
      baseline: text,
      tolerance: text,
      out: text,
      help: flag,
    },
  });
  if (values.help === true) return undefined;
  const number = (name: keyof typeof values, least: number, most: number, standard: number, whole = true): number => {
    const given = values[name];
    const value = given === undefined ? standard : Number(given);
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value)))
      throw new RangeError(
        `--${name} has to be ${whole ? 'a whole number' : 'a number'} from ${String(least)} to ${String(most)}`,
      );
    return value;
  };
  const { source = 'injected', model, redis: wantsRedis = false } = values;
  if (source !== 'injected' && source !== 'rtsp') throw new RangeError('--source has to be injected or rtsp');
  const faults = faultsOf(values.fault);
  const ofBroker = faults.find((name) => name.startsWith('broker-'));
  if (ofBroker !== undefined && process.env['KAFKA_BROKERS'] !== undefined)
    throw new RangeError(`--fault ${ofBroker} needs a broker of its own: unset KAFKA_BROKERS`);
  const ofIngest = faults.find((name) => name.endsWith('-ingest'));
  if (ofIngest !== undefined && source !== 'rtsp') throw new RangeError(`--fault ${ofIngest} needs --source rtsp`);
  const redis = wantsRedis || faults.some((name) => name.startsWith('redis-'));
  const workers = number('workers', 1, 256, 2);
  return {
    cameras: number('cameras', 1, 5_000, 8),
    source,
    ingests: number('ingests', 1, 32, 2),
    workers,
    workersPerProcess: model === undefined ? number('workers-per-process', 1, 64, 1) : 1,
    model,
    fps: number('fps', 0.01, 60, 5, false),
    durationS: number('duration', 5, 3_600, 30),
    warmUpS: number('warm-up', 0, 600, 5),
    simulatedMs: number('simulated-ms', 1, 10_000, 20, false),
    frameBytes: number('frame-bytes', 100, 900_000, 20_000),
    deadlineMs: values['deadline-ms'] === undefined ? null : number('deadline-ms', 1, 600_000, 1_000),
    partitions: number('partitions', 1, 1_000, Math.max(12, workers * 2)),
    sessionS: number('session', 0.5, 300, 2, false),
    redis,
    faults,
    cpuProfile: values['cpu-profile'] ?? false,
    baseline: values.baseline,
    tolerance: number('tolerance', 0, 10, 0.25, false),
    out: values.out ?? 'runs',
  };
}

function faultsOf(text: string | undefined): LoadFault[] {
  if (text === undefined || text === 'none') return [];
  return text.split(',').map((word) => {
    const fault = faultNames.find((name) => name === word);
    if (fault === undefined) throw new RangeError(`--fault takes ${faultNames.join(', ')}`);
    return fault;
  });
}
