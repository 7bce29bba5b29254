import type { DetectionFrame } from '#schemas';
import { parseKafkaUrl } from '#shared/core/kafka-url';
import { createVerifyFold, type VerifyReport } from '../../services/results/core/verify.ts';
import { openTopicResults } from '../../services/results/topic-results.ts';
import type { LoadMeeting } from './load-connection.ts';
import type { LoadAccounting } from './load-report.ts';

interface CameraState {
  epoch: number;
  frameSeq: number;
  lastAtMs: number;
}

interface Watch {
  readonly fromMs: number;
  /** The next fault's silences are its own. */
  untilMs: number;
  longestMs: number;
  camera: string;
}

type SeenCounts = Pick<LoadAccounting, 'repeated' | 'reordered' | 'newEpochs'>;

/** Longer than anything that a fault has to be over in, an outage of a minute included. */
const watchedMs = 120_000;

/** What comes out, record by record as a reader sees it. */
export class ResultAccount {
  readonly #cameras = new Map<string, CameraState>();
  readonly #watches: Watch[] = [];
  #repeated = 0;
  #reordered = 0;
  #newEpochs = 0;

  add(record: DetectionFrame, nowMs: number): void {
    const { camera_id: cameraId, epoch, frame_seq: frameSeq } = record.header;
    const camera = this.#cameras.get(cameraId);
    if (camera === undefined) {
      this.#cameras.set(cameraId, { epoch, frameSeq, lastAtMs: nowMs });
      return;
    }
    for (const watch of this.#watches) note(watch, cameraId, camera.lastAtMs, nowMs);
    camera.lastAtMs = nowMs;
    const isStale = epoch < camera.epoch && record.decision === 'DROPPED';
    if (isStale) return;
    if (epoch > camera.epoch) this.#newEpochs += 1;
    if (epoch === camera.epoch && frameSeq === camera.frameSeq) this.#repeated += 1;
    else if (epoch < camera.epoch || (epoch === camera.epoch && frameSeq < camera.frameSeq)) this.#reordered += 1;
    else [camera.epoch, camera.frameSeq] = [epoch, frameSeq];
  }

  /** The answer is the longest time that a camera was without a result from now until the next watch, two minutes at most. */
  watchSilence(nowMs: number): () => { readonly longestS: number; readonly camera: string } {
    const watch: Watch = { fromMs: nowMs, untilMs: nowMs + watchedMs, longestMs: 0, camera: '' };
    for (const earlier of this.#watches) earlier.untilMs = Math.min(earlier.untilMs, nowMs);
    this.#watches.push(watch);
    return () => {
      // Those that are silent to this moment.
      const untilMs = performance.now();
      for (const [cameraId, { lastAtMs }] of this.#cameras) note(watch, cameraId, lastAtMs, untilMs);
      return { longestS: watch.longestMs / 1_000, camera: watch.camera };
    };
  }

  get counts(): SeenCounts {
    return { repeated: this.#repeated, reordered: this.#reordered, newEpochs: this.#newEpochs };
  }
}

function note(watch: Watch, camera: string, lastMs: number, nowMs: number): void {
  const silentMs = Math.min(nowMs, watch.untilMs) - lastMs;
  if (nowMs < watch.fromMs || lastMs > watch.untilMs || silentMs <= watch.longestMs) return;
  watch.longestMs = silentMs;
  watch.camera = camera;
}

/** As `sightline results verify` proves it, from the topics alone. */
export async function verifyTopics({ brokers, registryUrl, prefix }: LoadMeeting): Promise<VerifyReport> {
  const results = await openTopicResults(
    parseKafkaUrl(`kafka://${brokers.join()}/?registry=${registryUrl}&prefix=${prefix}`),
    {},
    {},
  );
  try {
    const { startsMidway, endTimeUs } = results;
    const fold = createVerifyFold({ maxListedViolations: 10, excerpt: { startsMidway, endTimeUs } });
    for await (const part of results.read()) {
      if (part.kind === 'undecodable') fold.addUnreadable(part.file, `offset ${String(part.offset)}: ${part.reason}`);
      else if (part.schema === 'detection-frame')
        for (const record of part.records) fold.addDetection(record, part.file);
      else for (const record of part.records) fold.addStatus(record);
    }
    return fold.report();
  } finally {
    await results.close();
  }
}

/** `lastSent` is the last frame that each injected camera knows to be on the broker; cameras by RTSP tell theirs by their status. */
export function accountOf(
  report: VerifyReport,
  counts: SeenCounts,
  lastSent: Readonly<Record<string, number>> | undefined,
): LoadAccounting {
  const received = new Map(report.cameras.map((camera) => [camera.camera_id, camera.frames_received]));
  const sent = lastSent ?? Object.fromEntries(received);
  let [framesSent, lost] = [0, 0];
  for (const [camera, count] of Object.entries(sent)) {
    framesSent += count;
    lost += Math.max(0, count - (received.get(camera) ?? 0));
  }
  return {
    framesSent,
    framesInResults: report.frames_received,
    records: report.records,
    cameras: report.cameras.length,
    lost,
    ...counts,
    violationCount: report.violation_count,
    violations: report.violations.map(
      ({ camera_id: camera, frame_seq: frameSeq, text }) => `${camera ?? ''} ${String(frameSeq)}: ${text}`,
    ),
  };
}
