import path from 'node:path';
import { runByHand, runServices, type KafkaAddresses, type ServicesRun } from './kafka-services.ts';
import { bareInference, decode, measurePair, prepareClip, writeTensors, type BenchSettings } from './limit.ts';
import type { Spread } from './measure-cpu.ts';
import {
  marginal,
  medianOf,
  over,
  ratiosOf,
  show,
  spreadText,
  startUpOf,
  sumOf,
  wholeRun,
  type Pair,
  type Ratios,
} from './ratios.ts';

type Stage = 'decode' | 'bare_inference' | 'ingest_service' | 'inference_service' | 'by_hand';

export interface KafkaReport extends Ratios {
  readonly clip: string;
  readonly frames: number;
  /** The same for whole processes with start-up, on the clip once. */
  readonly whole_run: Ratios;
  /** CPU ms per frame. The ingest with its ffmpeg, and the inference, are the pipeline; broker and registry are not counted. */
  readonly stages: Readonly<Record<Stage, number | null>>;
  readonly start_up_cpu_ms: Readonly<Record<Stage, number | null>>;
  /** The same clip by several cameras of one ingest, over the limit of one; null where it was not asked for. */
  readonly many_cameras: {
    readonly cameras: number;
    readonly ratio_to_limit: Spread;
    readonly stages: Readonly<Record<'ingest_service' | 'inference_service', number | null>>;
  } | null;
}

/** `sightline service ingest` and `sightline service inference` with Kafka between them, on a clip. */
export async function benchKafka(
  settings: BenchSettings,
  servers: KafkaAddresses,
  clip: string,
  cameras: number,
): Promise<KafkaReport> {
  const { model, python, repeats, say } = settings;
  const name = path.basename(clip);
  say(`${name}: warm-up`);
  const files = prepareClip(settings, clip);
  const services = (count: number): Promise<{ readonly long: ServicesRun; readonly once: ServicesRun }> =>
    measurePair(files, (file) => runServices(settings, servers, file, count));
  const first = await services(1);
  const frames: Pair = { long: first.long.frames, once: first.once.frames };
  const tensors = writeTensors(settings, clip);
  const runs: Record<Stage, Pair[]> = {
    decode: [],
    bare_inference: [],
    ingest_service: [],
    inference_service: [],
    by_hand: [],
  };
  const ofMany: Record<'ingest_service' | 'inference_service', Pair[]> = { ingest_service: [], inference_service: [] };
  const note = (into: typeof ofMany, { long, once }: Awaited<ReturnType<typeof services>>): void => {
    into.ingest_service.push({ long: long.ingestMs, once: once.ingestMs });
    into.inference_service.push({ long: long.inferenceMs, once: once.inferenceMs });
  };
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    say(`${name}: ${repeat} of ${repeats}`);
    runs.decode.push(await measurePair(files, (file) => decode(settings, file)));
    note(runs, await services(1));
    runs.bare_inference.push(await measurePair(files, (_, length) => bareInference(model, frames[length], tensors)));
    if (python !== undefined) {
      runs.by_hand.push(await measurePair(files, (file) => runByHand(settings, python, servers.brokers, file)));
    }
    if (cameras > 1) note(ofMany, await services(cameras));
  }
  const compared = {
    decode: runs.decode,
    inference: runs.bare_inference,
    pipeline: sumOf(runs.ingest_service, runs.inference_service),
    by_hand: runs.by_hand,
  };
  const perFrame = marginal(frames);
  const each = (value: (pairs: readonly Pair[]) => number | null): Record<Stage, number | null> => ({
    decode: value(runs.decode),
    bare_inference: value(runs.bare_inference),
    ingest_service: value(runs.ingest_service),
    inference_service: value(runs.inference_service),
    by_hand: value(runs.by_hand),
  });
  const perFrameOfMany = marginal({ long: frames.long * cameras, once: frames.once * cameras });
  const many = sumOf(ofMany.ingest_service, ofMany.inference_service);
  return {
    clip: name,
    frames: frames.once,
    ...ratiosOf(compared, perFrame),
    whole_run: ratiosOf(compared, wholeRun(frames)),
    stages: each((pairs) => medianOf(pairs, perFrame)),
    start_up_cpu_ms: each((pairs) => startUpOf(pairs, frames)),
    many_cameras:
      many.length === 0
        ? null
        : {
            cameras,
            ratio_to_limit: over(perFrameOfMany(many), perFrame(sumOf(runs.decode, runs.bare_inference))),
            stages: {
              ingest_service: medianOf(ofMany.ingest_service, perFrameOfMany),
              inference_service: medianOf(ofMany.inference_service, perFrameOfMany),
            },
          },
  };
}

export function kafkaText(report: KafkaReport, repeats: number): string {
  const { stages: cpu, start_up_cpu_ms: start, many_cameras: many } = report;
  const text = `${report.clip}: ${report.frames} frames over Kafka, CPU ms per analysed frame, median of ${repeats}
  decode ${show(cpu.decode)} + bare inference ${show(cpu.bare_inference)}; ingest with ffmpeg ${show(cpu.ingest_service)} + inference ${show(cpu.inference_service)}; by hand ${show(cpu.by_hand)}
  a frame:    services / limit ${spreadText(report.ratio_to_limit)}; by hand / limit ${spreadText(report.by_hand_ratio)}
  whole runs: services / limit ${spreadText(report.whole_run.ratio_to_limit)}; by hand / limit ${spreadText(report.whole_run.by_hand_ratio)}
  start-up, CPU ms: ingest ${show(start.ingest_service)} + inference ${show(start.inference_service)}; by hand ${show(start.by_hand)}
`;
  if (many === null) return text;
  const { ingest_service: ingest, inference_service: inference } = many.stages;
  return `${text}  ${many.cameras} cameras: ingest ${show(ingest)} + inference ${show(inference)}; services / limit ${spreadText(many.ratio_to_limit)}\n`;
}
