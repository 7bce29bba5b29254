import type { BoundingBoxRecord, DetectedObjectRecord } from '../../../../schemas/index.ts';

/** What of an object tells whether two models mean the same one. */
type ComparedObject = Pick<DetectedObjectRecord, 'class_name' | 'confidence' | 'bbox'>;

/** How two models saw one class. */
export interface ClassAgreement {
  readonly matched: number;
  readonly onlyActive: number;
  readonly onlyCandidate: number;
}

/** Two boxes that share half of what they cover together are of one object: the limit of the common measures of detectors. */
const sameObjectIou = 0.5;

/** Intersection over union, 0..1. */
export function iou(one: BoundingBoxRecord, other: BoundingBoxRecord): number {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (one.width * one.height + other.width * other.height - shared);
}

/** Per class, what both saw and what only one did. Boxes are paired by overlap, the largest first, each at most once. */
export function compareObjects(
  active: readonly ComparedObject[],
  candidate: readonly ComparedObject[],
): ReadonlyMap<string, ClassAgreement> {
  const classes = new Map<string, ClassAgreement>();
  for (const name of new Set([...active, ...candidate].map(({ class_name: each }) => each))) {
    const ours = active.filter(({ class_name: each }) => each === name);
    const theirs = candidate.filter(({ class_name: each }) => each === name);
    const matched = countMatches(ours, theirs);
    classes.set(name, { matched, onlyActive: ours.length - matched, onlyCandidate: theirs.length - matched });
  }
  return classes;
}

/** 0..1: twice what both saw, over what each saw. Null where neither saw anything. */
export function agreementRatio({ matched, onlyActive, onlyCandidate }: ClassAgreement): number | null {
  const seen = 2 * matched + onlyActive + onlyCandidate;
  return seen === 0 ? null : (2 * matched) / seen;
}

function countMatches(ours: readonly ComparedObject[], theirs: readonly ComparedObject[]): number {
  const pairs = ours.flatMap((one, left) =>
    theirs.map((other, right) => ({ left, right, overlap: iou(one.bbox, other.bbox) })),
  );
  pairs.sort((a, b) => b.overlap - a.overlap);
  const [lefts, rights] = [new Set<number>(), new Set<number>()];
  for (const { left, right, overlap } of pairs) {
    if (overlap < sameObjectIou) break;
    if (lefts.has(left) || rights.has(right)) continue;
    lefts.add(left);
    rights.add(right);
  }
  return lefts.size;
}
