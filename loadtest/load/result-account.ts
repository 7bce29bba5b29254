import type { DetectionFrame } from '#schemas';
import { createVerifyFold } from '../../services/results/core/verify.ts';
import type { LoadAccounting } from './load-report.ts';

/** Holds what came out against what the cameras sent, record by record. */
export class ResultAccount {
  readonly #fold = createVerifyFold({ maxListedViolations: 10 });
  readonly #last = new Map<string, number>();
  readonly #frames = new Map<string, number>();
  #repeated = 0;
  #reordered = 0;

  add(record: DetectionFrame): void {
    const { camera_id: camera, frame_seq: frameSeq } = record.header;
    const last = this.#last.get(camera) ?? 0;
    if (frameSeq === last) this.#repeated += 1;
    else if (frameSeq < last) this.#reordered += 1;
    else this.#last.set(camera, frameSeq);
    this.#frames.set(camera, (this.#frames.get(camera) ?? 0) + record.accounting.frames_received);
    this.#fold.addDetection(record, 'results');
  }

  /** Every camera's last frame is in. */
  hasAll(lastSent: Readonly<Record<string, number>>): boolean {
    return Object.entries(lastSent).every(([camera, frameSeq]) => (this.#last.get(camera) ?? 0) >= frameSeq);
  }

  report(lastSent: Readonly<Record<string, number>>): LoadAccounting {
    let [framesSent, framesInResults, lost] = [0, 0, 0];
    for (const [camera, sent] of Object.entries(lastSent)) {
      const got = this.#frames.get(camera) ?? 0;
      framesSent += sent;
      framesInResults += got;
      lost += Math.max(0, sent - got);
    }
    return {
      framesSent,
      framesInResults,
      lost,
      repeated: this.#repeated,
      reordered: this.#reordered,
      violations: this.#fold
        .report()
        .violations.map(
          ({ camera_id: camera, frame_seq: frameSeq, text }) => `${camera ?? ''} ${String(frameSeq)}: ${text}`,
        ),
    };
  }
}
