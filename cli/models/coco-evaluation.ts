/** A labelled object: x, y, width, height in pixels. `isCrowd`: it stands for many, finding them is neither right nor wrong. */
export interface LabelledBox {
  readonly imageId: number;
  readonly className: string;
  readonly box: readonly [number, number, number, number];
  readonly isCrowd: boolean;
}

export interface FoundBox {
  readonly imageId: number;
  readonly className: string;
  readonly box: readonly [number, number, number, number];
  readonly score: number;
}

export interface ClassAccuracy {
  /** Mean over overlaps of 0.50 to 0.95. */
  readonly ap: number;
  readonly ap50: number;
}

const overlapSteps = Array.from({ length: 10 }, (_, step) => (step === 9 ? 0.95 : 0.5 + step * 0.05));
const recallSteps = Array.from({ length: 101 }, (_, step) => (step === 100 ? 1 : step * 0.01));
const maxFoundPerImage = 100;
const nearlyOne = 1 - 1e-10;

interface Judged {
  readonly score: number;
  /** One entry an overlap step. */
  readonly isRight: readonly boolean[];
  readonly isIgnored: readonly boolean[];
}

/**
 * The accuracy measure of COCO (101 points of recall, all sizes, at most 100 objects a picture and class) for each class that has labelled
 * objects; to the same numbers as pycocotools, down to the order in which equal scores count.
 */
export function evaluateCoco(
  labelled: readonly LabelledBox[],
  found: readonly FoundBox[],
  classes: readonly string[],
): ReadonlyMap<string, ClassAccuracy> {
  const truthOf = grouped(labelled);
  const foundOf = grouped(found);
  const accuracy = new Map<string, ClassAccuracy>();
  for (const className of classes) {
    const truth = truthOf.get(className) ?? new Map<number, LabelledBox[]>();
    const total = [...truth.values()].flat().filter(({ isCrowd }) => !isCrowd).length;
    if (total === 0) continue;
    const judged = [...(foundOf.get(className) ?? [])]
      .sort(([a], [b]) => a - b)
      .flatMap(([imageId, boxes]) => judgeImage(truth.get(imageId) ?? [], boxes));
    judged.sort((a, b) => b.score - a.score);
    const aps = overlapSteps.map((_, step) => averagePrecision(judged, step, total));
    accuracy.set(className, { ap: mean(aps), ap50: aps[0] ?? 0 });
  }
  return accuracy;
}

function grouped<Box extends { readonly className: string; readonly imageId: number }>(
  boxes: readonly Box[],
): Map<string, Map<number, Box[]>> {
  const groups = new Map<string, Map<number, Box[]>>();
  for (const box of boxes) {
    const images = groups.get(box.className) ?? new Map<number, Box[]>();
    groups.set(box.className, images);
    const list = images.get(box.imageId) ?? [];
    images.set(box.imageId, list);
    list.push(box);
  }
  return groups;
}

/** Best score first, each takes the labelled object that it overlaps most and that is free; crowds last, and any number of times. */
function judgeImage(labelled: readonly LabelledBox[], found: readonly FoundBox[]): readonly Judged[] {
  const truth = labelled.toSorted((a, b) => Number(a.isCrowd) - Number(b.isCrowd));
  const best = found.toSorted((a, b) => b.score - a.score).slice(0, maxFoundPerImage);
  const overlaps = best.map((each) => truth.map((object) => overlap(each, object)));
  const taken = overlapSteps.map(() => new Set<number>());
  return best.map(({ score }, index) => {
    const matches = overlapSteps.map((least, step) => {
      const match = bestMatch(truth, overlaps[index] ?? [], taken[step] ?? new Set(), Math.min(least, nearlyOne));
      if (match >= 0) taken[step]?.add(match);
      return match;
    });
    return {
      score,
      isRight: matches.map((match) => match >= 0),
      isIgnored: matches.map((match) => truth[match]?.isCrowd === true),
    };
  });
}

function bestMatch(
  truth: readonly LabelledBox[],
  overlaps: readonly number[],
  taken: ReadonlySet<number>,
  least: number,
): number {
  let match = -1;
  let most = least;
  for (const [index, { isCrowd }] of truth.entries()) {
    if (taken.has(index) && !isCrowd) continue;
    if (match >= 0 && isCrowd) break;
    const here = overlaps[index] ?? 0;
    if (here < most) continue;
    most = here;
    match = index;
  }
  return match;
}

/** Of a crowd what counts is how much of the found box lies in it. */
function overlap({ box: [x, y, width, height] }: FoundBox, object: LabelledBox): number {
  const [left, top, trueWidth, trueHeight] = object.box;
  const sharedWidth = Math.min(x + width, left + trueWidth) - Math.max(x, left);
  const sharedHeight = Math.min(y + height, top + trueHeight) - Math.max(y, top);
  if (sharedWidth <= 0 || sharedHeight <= 0) return 0;
  const shared = sharedWidth * sharedHeight;
  return shared / (object.isCrowd ? width * height : width * height + trueWidth * trueHeight - shared);
}

function averagePrecision(judged: readonly Judged[], step: number, total: number): number {
  const recall: number[] = [];
  const precision: number[] = [];
  let right = 0;
  let wrong = 0;
  for (const { isRight, isIgnored } of judged) {
    if (isIgnored[step] !== true) {
      if (isRight[step] === true) right++;
      else wrong++;
    }
    recall.push(right / total);
    precision.push(right / (right + wrong + Number.EPSILON));
  }
  for (let index = precision.length - 1; index > 0; index--)
    precision[index - 1] = Math.max(precision[index - 1] ?? 0, precision[index] ?? 0);
  let at = 0;
  const points = recallSteps.map((wanted) => {
    while (at < recall.length && (recall[at] ?? 0) < wanted) at++;
    return precision[at] ?? 0;
  });
  return mean(points);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
