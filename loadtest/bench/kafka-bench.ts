import path from 'node:path';
import { runByHand, runServices, type KafkaAddresses, type ServicesRun } from './kafka-services.ts';
import { bareInference, decode, measurePair, prepareClip, writeTensors, type BenchSettings } from './limit.ts';
import {
  marginal,
  medianOf,
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
}

/** `sightline service ingest` and `sightline service inference` with Kafka between them, on a clip. */
export async function benchKafka(settings: BenchSettings, servers: KafkaAddresses, clip: string): Promise<KafkaReport> {
  const { model, python, repeats, say } = settings;
  const name = path.basename(clip);
  say(`${name}: warm-up`);
  const files = prepareClip(settings, clip);
  const services = (): Promise<{ readonly long: ServicesRun; readonly once: ServicesRun }> =>
    measurePair(files, (file) => runServices(settings, servers, file));
  const first = await services();
  const frames: Pair = { long: first.long.frames, once: first.once.frames };
  const tensors = writeTensors(settings, clip);
  const runs: Record<Stage, Pair[]> = {
    decode: [],
    bare_inference: [],
    ingest_service: [],
    inference_service: [],
    by_hand: [],
  };
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    say(`${name}: ${repeat} of ${repeats}`);
    runs.decode.push(await measurePair(files, (file) => decode(settings, file)));
    const { long, once } = await services();
    runs.ingest_service.push({ long: long.ingestMs, once: once.ingestMs });
    runs.inference_service.push({ long: long.inferenceMs, once: once.inferenceMs });
    runs.bare_inference.push(await measurePair(files, (_, length) => bareInference(model, frames[length], tensors)));
    if (python !== undefined) {
      runs.by_hand.push(await measurePair(files, (file) => runByHand(settings, python, servers.brokers, file)));
    }
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
  return {
    clip: name,
    frames: frames.once,
    ...ratiosOf(compared, perFrame),
    whole_run: ratiosOf(compared, wholeRun(frames)),
    stages: each((pairs) => medianOf(pairs, perFrame)),
    start_up_cpu_ms: each((pairs) => startUpOf(pairs, frames)),
  };
}

export function kafkaText(report: KafkaReport, repeats: number): string {
  const { stages: cpu, start_up_cpu_ms: start } = report;
  return `${report.clip}: ${report.frames} frames over Kafka, CPU ms per analysed frame, median of ${repeats}
  decode ${show(cpu.decode)} + bare inference ${show(cpu.bare_inference)}; ingest with ffmpeg ${show(cpu.ingest_service)} + inference ${show(cpu.inference_service)}; by hand ${show(cpu.by_hand)}
  a frame:    services / limit ${spreadText(report.ratio_to_limit)}; by hand / limit ${spreadText(report.by_hand_ratio)}
  whole runs: services / limit ${spreadText(report.whole_run.ratio_to_limit)}; by hand / limit ${spreadText(report.whole_run.by_hand_ratio)}
  start-up, CPU ms: ingest ${show(start.ingest_service)} + inference ${show(start.inference_service)}; by hand ${show(start.by_hand)}
`;
}
