import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { AppError } from '#shared/core/errors';
import { storeModel } from '../../../services/inference/adapters/model-files/model-store.ts';
import type { ModelManifest } from '../../../services/inference/core/model.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import type { PythonSource } from '../python-tool.ts';
import { objectsOn, readElsewhere, type Elsewhere } from './elsewhere.ts';
import { extractFrames, findClips, frameName, samplingRate, type ClipFrames } from './clip-frames.ts';
import { countByClass, judgeBoxes, leastObjects, measureCosts, type JudgedModel } from './judged-model.ts';
import { seenObjects, type SeenObject } from './seen-objects.ts';
import { train, trainableStrides, type LabelledFrame } from './training-tool.ts';
import { writtenManifest } from '../written-manifest.ts';

export interface DistilOptions {
  readonly teacher: VerifiedModel;
  readonly student: VerifiedModel;
  readonly clips: string;
  /** Folder of pictures of other places; null where there are none. */
  readonly also: string | null;
  /** AP50 that it may lose on those. */
  readonly mostForgotten: number;
  readonly name: string;
  /** Of the new model's input; default: the student's. */
  readonly size?: { readonly widthPx: number; readonly heightPx: number };
  readonly minutes: number;
  readonly fps: number;
  readonly maxFrames: number;
  /** Share of the student's own weights in those of the new model: keeps what the clips do not show. */
  readonly keep: number;
  readonly threads: number;
  readonly maxSteps?: number;
  /** In how many rounds CPU time is measured, the models in turn; the median counts. Default 5. */
  readonly benchRounds?: number;
  /** Share of the channels to leave out. Null: the network stays as it is. */
  readonly pruneRatio: number | null;
  /** AP50 that it may lose where it is cheaper for that. */
  readonly mostLost: number;
  readonly python: PythonSource;
  /** Where models are kept. */
  readonly storeDirectory: string;
  readonly workDirectory: string;
  readonly onStage: (text: string) => void;
  readonly onProgress: (text: string) => void;
}

export interface DistilOutcome {
  readonly frames: { readonly learned: number; readonly heldOut: number; readonly fps: number };
  /** Pictures of other places. */
  readonly also: { readonly learned: number; readonly heldOut: number };
  /** Objects that the teacher sees on the held-out frames. */
  readonly objects: ReadonlyMap<string, number>;
  readonly rows: readonly JudgedModel[];
  readonly steps: number;
  readonly weights: number;
  readonly verdict: Verdict;
  /** Null where the new model is refused. */
  readonly stored: { readonly name: string; readonly version: string; readonly manifestPath: string } | null;
}

export type Verdict = { readonly isBetter: true } | { readonly isBetter: false; readonly reason: string };

/** What comes last judges; the gap keeps frames that are nearly alike from standing on both sides. */
export const learnedShare = 0.65;
export const heldOutFrom = 0.7;
/** Below it a box of the teacher is noise; from there on the student learns it with the teacher's score. */
const learnedScore = 0.05;
/** Boxes below it are not looked at when models are judged. */
const judgedScore = 0.01;

interface Lesson {
  readonly clips: readonly ClipFrames[];
  readonly heldOut: readonly ClipFrames[];
  readonly frames: readonly LabelledFrame[];
  /** What the teacher reports on the held-out frames. */
  readonly truth: readonly (readonly SeenObject[])[];
  readonly fps: number;
  readonly elsewhere: Elsewhere | null;
}

/** From clips of the user's cameras and a model that sees well to one that sees nearly as well there and costs less; or the reason why not. */
export async function distilModel(options: DistilOptions): Promise<DistilOutcome> {
  const { student, onStage, onProgress } = options;
  trainableStrides(student.manifest);
  const input = options.size ?? student.manifest.input;
  const lesson = await makeLesson(options);
  onStage(
    `${student.manifest.name} learns ${input.widthPx}x${input.heightPx} from ${lesson.frames.length} frames for ${options.minutes} min`,
  );
  const trained = await train({
    ...{ student, input, frames: lesson.frames, minutes: options.minutes, threads: options.threads },
    also: lesson.elsewhere?.learned ?? [],
    maxSteps: options.maxSteps ?? 1e9,
    ...{ pruneRatio: options.pruneRatio, keep: options.keep },
    workDirectory: options.workDirectory,
    python: options.python,
    onProgress: (share, step, loss) => {
      onProgress(`${Math.round(share * 100)} %, step ${step}, loss ${loss.toFixed(3)}`);
    },
  });
  const made = asModel(options, trained.bytes, lesson);
  onStage('judging on the frames that were held out');
  const rows = await judgeAll(options, made, lesson);
  const { widthPx, heightPx } = student.manifest.input;
  const isSmaller = options.pruneRatio !== null || input.widthPx * input.heightPx < widthPx * heightPx;
  const verdict = judge(rows, { mostLost: options.mostLost, mostForgotten: options.mostForgotten, isSmaller });
  const stored = verdict.isBetter ? await store(options, made) : null;
  return {
    frames: { learned: lesson.frames.length, heldOut: lesson.truth.length, fps: lesson.fps },
    also: { learned: lesson.elsewhere?.learned.length ?? 0, heldOut: lesson.elsewhere?.heldOut.length ?? 0 },
    objects: countByClass(lesson.truth),
    rows,
    steps: trained.steps,
    weights: trained.weights,
    verdict,
    stored,
  };
}

async function makeLesson(options: DistilOptions): Promise<Lesson> {
  const { teacher, student, onStage, onProgress, maxFrames } = options;
  const files = await findClips(options.clips);
  const fps = await samplingRate(files, options.fps, maxFrames);
  onStage(`taking ${fps.toFixed(2)} frames a second from ${files.length} clip${files.length === 1 ? '' : 's'}`);
  const clips: ClipFrames[] = [];
  for (const [index, file] of files.entries()) {
    clips.push(await extractFrames(file, join(options.workDirectory, `clip-${index}`), fps, maxFrames));
  }
  const total = clips.reduce((sum, { count }) => sum + count, 0);
  onStage(`${teacher.manifest.name} labels ${total} frames`);
  let done = 0;
  const see = (model: VerifiedModel) =>
    seenObjects(model, clips, {
      workers: options.threads,
      scoreFloor: learnedScore,
      onFrame: () => {
        onProgress(`${++done} of ${total} frames`);
      },
    });
  const seen = await see(teacher);
  const labels = student.manifest.labels;
  // Of what the teacher does not know, the student is held to what it says itself.
  const unknown = labels.filter((label) => !teacher.manifest.labels.includes(label));
  if (unknown.length > 0) {
    onStage(`${student.manifest.name} labels what ${teacher.manifest.name} does not know: ${unknown.join(', ')}`);
    done = 0;
  }
  const own = unknown.length === 0 ? [] : await see(student);
  const [byTeacher, byStudent] = [reportedBy(teacher.manifest), reportedBy(student.manifest)];
  const isReported = (object: SeenObject): boolean =>
    (unknown.includes(object.className) ? byStudent : byTeacher)(object);
  const known = seen.map((frames, clip) =>
    frames.map((objects, frame) => [
      ...objects.filter(({ className }) => labels.includes(className)),
      ...(own[clip]?.[frame] ?? []).filter(({ className }) => unknown.includes(className)),
    ]),
  );
  const frames = clips.flatMap((clip, at) =>
    (known[at] ?? []).slice(0, Math.floor(clip.count * learnedShare)).map((objects, index) => ({
      file: join(clip.directory, frameName(index + 1)),
      boxes: objects.map(({ className, box, score }) => {
        const [x, y, width, height] = box;
        const { widthPx, heightPx } = clip.size;
        return [
          x * widthPx,
          y * heightPx,
          width * widthPx,
          height * heightPx,
          score,
          labels.indexOf(className),
        ] as const;
      }),
    })),
  );
  const heldOut = clips.map((clip) => heldOutPart(clip)).filter(({ count }) => count > 0);
  const truth = clips.flatMap((clip, at) =>
    (known[at] ?? []).slice(heldOutPart(clip).first - 1).map((objects) => objects.filter(isReported)),
  );
  const learned = clips.flatMap((clip, at) => (known[at] ?? []).slice(0, Math.floor(clip.count * learnedShare)).flat());
  checkIsEnough(teacher.manifest.name, labels, learned.filter(isReported).length, countByClass(truth));
  return { clips, heldOut, frames, truth, fps, elsewhere: await lookElsewhere(options, isReported) };
}

async function lookElsewhere(
  { teacher, student, also, onStage, onProgress }: DistilOptions,
  isReported: (object: SeenObject) => boolean,
): Promise<Elsewhere | null> {
  if (also === null) return null;
  onStage(`${teacher.manifest.name} labels the pictures of other places`);
  return readElsewhere({
    ...{ teacher, student, directory: also, learnedScore, isReported },
    onProgress: (done, total) => onProgress(`${done} of ${total} pictures`),
  });
}

function heldOutPart(clip: ClipFrames): ClipFrames {
  const before = Math.ceil(clip.count * heldOutFrom);
  return { ...clip, first: before + 1, count: clip.count - before };
}

function reportedBy({ thresholds }: ModelManifest): (object: SeenObject) => boolean {
  return ({ className, score }) => score >= (thresholds.perClass[className] ?? thresholds.score);
}

function checkIsEnough(
  teacher: string,
  labels: readonly string[],
  learned: number,
  heldOut: ReadonlyMap<string, number>,
): void {
  const most = Math.max(0, ...heldOut.values());
  if (learned >= leastObjects && most >= leastObjects) return;
  const seen = [...heldOut].map(([name, count]) => `${count} ${name}`).join(', ');
  throw new AppError(
    'SIGHTLINE_CLIPS_UNUSABLE',
    `of ${labels.join(', ')} the teacher ${teacher} sees ${learned} in the part to learn from and ${seen === '' ? 'none' : seen} in the part that judges; ${leastObjects} of a class are needed in each`,
  );
}

function asModel(options: DistilOptions, bytes: Uint8Array<ArrayBuffer>, lesson: Lesson): VerifiedModel {
  const { teacher, student, name, pruneRatio } = options;
  const digest = createHash('sha256').update(bytes).digest('hex');
  const input = { ...student.manifest.input, ...options.size };
  const what = pruneRatio === null ? 'distilled' : `pruned by ${pruneRatio}, then distilled`;
  const clips = lesson.clips.map(({ clip }) => basename(clip)).join(', ');
  return {
    digest,
    bytes,
    manifest: {
      ...student.manifest,
      ...{ name, version: digest.slice(0, 12), file: 'model.onnx', sha256: digest, input },
      licence: student.manifest.licence,
      source:
        `${what} by sightline: ${student.manifest.name} ${student.manifest.version} taught by ${teacher.manifest.name} ${teacher.manifest.version} (${teacher.manifest.licence}) on ${lesson.frames.length} frames of ${clips}`.slice(
          0,
          1000,
        ),
    },
  };
}

async function judgeAll(options: DistilOptions, made: VerifiedModel, lesson: Lesson): Promise<readonly JudgedModel[]> {
  const { teacher, student } = options;
  const models = [
    { role: 'teacher', model: teacher },
    { role: 'before', model: student },
    { role: 'after', model: made },
  ];
  const costs = await measureCosts(
    models.map(({ model }) => model),
    options.benchRounds ?? 5,
  );
  const rows: JudgedModel[] = [];
  for (const [index, { role, model }] of models.entries()) {
    const { name, input, thresholds } = model.manifest;
    const cost = costs[index] ?? { cpuMs: 0, memoryMiB: 0, sizeKiB: 0 };
    // The teacher's boxes are what is asked for.
    const found =
      role === 'teacher'
        ? lesson.truth
        : (
            await seenObjects(model, lesson.heldOut, {
              workers: options.threads,
              scoreFloor: judgedScore,
              onFrame: () => undefined,
            })
          ).flat();
    const judged = judgeBoxes(lesson.truth, found, (className) => thresholds.perClass[className] ?? thresholds.score);
    const elsewhereAp50 = await judgedElsewhere(role === 'teacher' ? null : model, lesson.elsewhere);
    rows.push({ role, name, input: `${input.widthPx}x${input.heightPx}`, ...judged, elsewhereAp50, ...cost });
  }
  return rows;
}

/** Null stands for the teacher, whose boxes are what is asked for. */
async function judgedElsewhere(model: VerifiedModel | null, elsewhere: Elsewhere | null): Promise<number | null> {
  if (elsewhere === null) return null;
  const { directory, heldOut, truth } = elsewhere;
  const found = model === null ? truth : await objectsOn(model, directory, heldOut, judgedScore, () => undefined);
  return judgeBoxes(truth, found, () => 0).ap50;
}

/** Less than a point of AP50 is noise, and a saving of less than a tenth is not worth a model of one's own. */
export const leastGain = 0.01;
const mostCost = 0.9;

/**
 * Better is what sees more of what the teacher sees than the model that it began as and costs less than the teacher; or, where the network is
 * smaller, as much and costs less than both. The same network costs the same: what a clock says of the two is chance.
 */
export function judge(
  rows: readonly JudgedModel[],
  options: { readonly mostLost: number; readonly mostForgotten: number; readonly isSmaller: boolean },
): Verdict {
  const { mostLost, mostForgotten, isSmaller } = options;
  const [teacher, before, after] = rows;
  if (teacher === undefined || before === undefined || after === undefined) throw new Error('three models are judged');
  if (after.cpuMs > mostCost * teacher.cpuMs) {
    return { isBetter: false, reason: `it takes ${share(after.cpuMs, teacher.cpuMs)} of the teacher's CPU time` };
  }
  const forgotten = (before.elsewhereAp50 ?? 0) - (after.elsewhereAp50 ?? 0);
  if (forgotten > mostForgotten) {
    return {
      isBetter: false,
      reason: `its AP50 on the pictures of other places falls by ${forgotten.toFixed(3)}, ${mostForgotten} may be lost`,
    };
  }
  const gain = after.ap50 - before.ap50;
  if (gain >= leastGain) return { isBetter: true };
  if (isSmaller && gain >= -mostLost && after.cpuMs <= mostCost * before.cpuMs) return { isBetter: true };
  return {
    isBetter: false,
    reason: `its AP50 is ${after.ap50.toFixed(3)} and was ${before.ap50.toFixed(3)} before, for ${share(after.cpuMs, before.cpuMs)} of the CPU time`,
  };
}

function share(part: number, whole: number): string {
  return `${Math.round((100 * part) / whole)} %`;
}

async function store(options: DistilOptions, made: VerifiedModel): Promise<NonNullable<DistilOutcome['stored']>> {
  const { manifest, bytes } = made;
  const { name, version } = manifest;
  const model = { manifest: writtenManifest(manifest), name, version };
  const { manifestPath } = await storeModel(options.storeDirectory, model, bytes);
  return { name, version, manifestPath };
}
