import { compareObjects, agreementRatio, type ClassAgreement } from '#shared/core/rollout/agreement';
import { tryModel } from '../../../services/inference/adapters/onnxruntime/model-trial.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { evaluateCoco, type ClassAccuracy } from '../coco-evaluation.ts';
import { measureModel } from '../../../services/inference/adapters/onnxruntime/model-bench.ts';
import type { SeenObject } from './seen-objects.ts';

/** How one model does on the frames that were held out, against what the teacher saw there. */
export interface JudgedModel {
  readonly role: string;
  readonly name: string;
  readonly input: string;
  /** Mean over the classes that are judged. */
  readonly ap50: number;
  readonly ap: number;
  readonly classes: ReadonlyMap<string, ClassAccuracy>;
  /** AP50 on the held-out pictures of other places; null where there are none. */
  readonly elsewhereAp50: number | null;
  /** At the thresholds that it runs with: twice the objects that both see over those that each sees, as the gate of a roll-out counts. */
  readonly agreement: number;
  readonly cpuMs: number;
  readonly memoryMiB: number;
  readonly sizeKiB: number;
}

/** A class with fewer objects on the held-out frames says nothing; it is shown and does not count. */
export const leastObjects = 20;

type Frames = readonly (readonly SeenObject[])[];

/** How often the teacher sees each class, the most frequent first. */
export function countByClass(frames: Frames): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { className } of frames.flat()) counts.set(className, (counts.get(className) ?? 0) + 1);
  return new Map([...counts].toSorted(([, a], [, b]) => b - a));
}

/** `truth` and `found`: the same frames. Boxes are compared as shares of the picture, which leaves overlaps as they are. */
export function judgeBoxes(
  truth: Frames,
  found: Frames,
  thresholdOf: (className: string) => number,
): Pick<JudgedModel, 'ap' | 'ap50' | 'classes' | 'agreement'> {
  const counts = countByClass(truth);
  const flat = (frames: Frames) =>
    frames.flatMap((objects, imageId) => objects.map((each) => ({ ...each, imageId, isCrowd: false })));
  const classes = evaluateCoco(flat(truth), flat(found), [...counts.keys()]);
  const judged = [...classes].filter(([name]) => (counts.get(name) ?? 0) >= leastObjects);
  const mean = (key: 'ap' | 'ap50'): number =>
    judged.length === 0 ? 0 : judged.reduce((sum, [, accuracy]) => sum + accuracy[key], 0) / judged.length;
  return { classes, ap: mean('ap'), ap50: mean('ap50'), agreement: agreementOf(truth, found, thresholdOf) };
}

function agreementOf(truth: Frames, found: Frames, thresholdOf: (className: string) => number): number {
  const known = new Set(truth.flat().map(({ className }) => className));
  const sum = { matched: 0, onlyActive: 0, onlyCandidate: 0 };
  for (const [index, objects] of truth.entries()) {
    const reported = (found[index] ?? []).filter(
      ({ className, score }) => known.has(className) && score >= thresholdOf(className),
    );
    for (const each of compareObjects(objects.map(asRecord), reported.map(asRecord)).values()) add(sum, each);
  }
  return agreementRatio(sum) ?? 0;
}

function add(sum: { matched: number; onlyActive: number; onlyCandidate: number }, each: ClassAgreement): void {
  sum.matched += each.matched;
  sum.onlyActive += each.onlyActive;
  sum.onlyCandidate += each.onlyCandidate;
}

function asRecord({ className, box: [x, y, width, height], score }: SeenObject) {
  return { class_id: 0, class_name: className, confidence: score, bbox: { x, y, width, height } };
}

/** CPU time, memory and size of several models; they take turns, so that a busy machine is unfair to none. */
export async function measureCosts(
  models: readonly VerifiedModel[],
  rounds: number,
): Promise<readonly Pick<JudgedModel, 'cpuMs' | 'memoryMiB' | 'sizeKiB'>[]> {
  const times: number[][] = models.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { manifest, bytes }] of models.entries()) {
      const figures = await measureModel({ manifest, bytes, threads: 1, batch: 1, provider: 'cpu', runs: 12 });
      times[index]?.push(figures.cpuMsPerFrame);
    }
  }
  const costs = [];
  for (const [index, model] of models.entries()) {
    const { memoryBytes } = await tryModel(model, null);
    costs.push({
      cpuMs: times[index]?.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0,
      memoryMiB: memoryBytes / 1024 ** 2,
      sizeKiB: model.bytes.length / 1024,
    });
  }
  return costs;
}
