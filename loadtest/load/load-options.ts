import { parseArgs } from 'node:util';

export const faults = ['none', 'kill-worker', 'stop-worker', 'freeze-worker', 'broker-restart'] as const;
export type LoadFault = (typeof faults)[number];

export interface LoadOptions {
  readonly cameras: number;
  readonly workers: number;
  readonly workersPerProcess: number;
  readonly fps: number;
  readonly durationS: number;
  readonly warmUpS: number;
  readonly simulatedMs: number;
  readonly frameBytes: number;
  readonly deadlineMs: number | null;
  readonly partitions: number;
  readonly fault: LoadFault;
  readonly baseline: string | undefined;
  readonly out: string;
}

export const help = `npm run loadtest -- [--cameras N] [--workers N] [--fps F] [--duration S] [--fault NAME] …

Cameras write frames to a real Kafka; inference workers with a simulated accelerator (a fixed time for each frame, one at a time, no CPU)
write results in transactions; a read_committed reader counts what comes. Starts a broker of its own, or uses the one that KAFKA_BROKERS
names. Writes runs/STAMP/report.json and report.html; exit code 1 where a frame is lost, repeated or out of order.

  --cameras N              cameras, 1 to 5000 (8)
  --workers N              inference workers, 1 to 256 (2)
  --workers-per-process N  of them in one process (1); a fault then hits all of a process
  --fps F                  frames per second of each camera, 0.01 to 60 (5)
  --duration S             seconds of measuring, 5 to 3600 (30)
  --warm-up S              seconds before it (5)
  --simulated-ms T         time of a frame on the accelerator, 1 to 10000 (20)
  --frame-bytes B          size of a picture, 1 to 900000 (20000)
  --deadline-ms D          frames older than this are dropped by inference and counted (none)
  --partitions N           of the topics (twice the workers, at least 12)
  --fault NAME             in the middle of measuring: ${faults.slice(1).join(', ')} (none)
  --baseline FILE          report.json of an earlier run to compare with
  --out DIR                where the run directory is made (runs)
`;

/** Throws a RangeError that says which option is wrong. Undefined: help is wanted. */
export function parseLoadOptions(args: readonly string[]): LoadOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      cameras: text,
      workers: text,
      'workers-per-process': text,
      fps: text,
      duration: text,
      'warm-up': text,
      'simulated-ms': text,
      'frame-bytes': text,
      'deadline-ms': text,
      partitions: text,
      fault: text,
      baseline: text,
      out: text,
      help: { type: 'boolean' },
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
  const fault = faults.find((name) => name === (values.fault ?? 'none'));
  if (fault === undefined) throw new RangeError(`--fault has to be one of ${faults.join(', ')}`);
  if (fault === 'broker-restart' && process.env['KAFKA_BROKERS'] !== undefined)
    throw new RangeError('--fault broker-restart needs a broker of its own: unset KAFKA_BROKERS');
  const workers = number('workers', 1, 256, 2);
  return {
    cameras: number('cameras', 1, 5_000, 8),
    workers,
    workersPerProcess: number('workers-per-process', 1, 64, 1),
    fps: number('fps', 0.01, 60, 5, false),
    durationS: number('duration', 5, 3_600, 30),
    warmUpS: number('warm-up', 0, 600, 5),
    simulatedMs: number('simulated-ms', 1, 10_000, 20, false),
    frameBytes: number('frame-bytes', 1, 900_000, 20_000),
    deadlineMs: values['deadline-ms'] === undefined ? null : number('deadline-ms', 1, 600_000, 1_000),
    partitions: number('partitions', 1, 1_000, Math.max(12, workers * 2)),
    fault,
    baseline: values.baseline,
    out: values.out ?? 'runs',
  };
}
