/** Quantiles are within this share of the true value of that rank. */
export const quantileRelativeError = 0.01;

const growth = (1 + quantileRelativeError) / (1 - quantileRelativeError);
const logGrowth = Math.log(growth);
// Microseconds to years in milliseconds: 1600 buckets at the very most, a few dozen in practice.
const smallestValue = 0.001;
const largestValue = 1e11;

/**
 * Counts values in buckets that grow by a constant factor: memory stays bounded however many values come, and each quantile is within
 * `quantileRelativeError` of the value of that rank (or within `smallestValue` of it, near zero). Negative values count as zero.
 */
export interface QuantileSketch {
  add(value: number): void;
  readonly count: number;
  /** The value of rank ceil(q * count), q from 0 to 1; null where nothing was added. */
  quantile(q: number): number | null;
}

export function createQuantileSketch(): QuantileSketch {
  const buckets = new Map<number, number>();
  let count = 0;
  let zeros = 0;
  let smallest = Infinity;
  let largest = 0;
  return {
    add(value) {
      count += 1;
      const known = Math.min(Math.max(value, 0), largestValue);
      smallest = Math.min(smallest, known);
      largest = Math.max(largest, known);
      if (known < smallestValue) {
        zeros += 1;
        return;
      }
      const bucket = Math.ceil(Math.log(known) / logGrowth);
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    },
    get count() {
      return count;
    },
    quantile(q) {
      if (count === 0) return null;
      const rank = Math.min(Math.max(Math.ceil(q * count), 1), count);
      let seen = zeros;
      if (rank <= seen) return 0;
      for (const [bucket, inBucket] of [...buckets].sort(([a], [b]) => a - b)) {
        seen += inBucket;
        // The middle of a bucket is at most the stated error away from both its ends.
        if (rank <= seen) return Math.min(Math.max((2 * growth ** bucket) / (growth + 1), smallest), largest);
      }
      return largest;
    },
  };
}
