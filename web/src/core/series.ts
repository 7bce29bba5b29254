import type { FrameResult } from './types.ts';

/** Columns for a chart: seconds since 1970, then one column per name. */
export interface Series {
  readonly names: readonly string[];
  readonly times: readonly number[];
  readonly columns: readonly (readonly number[])[];
}

interface Bucket {
  readonly second: number;
  frames: number;
  readonly objects: Map<string, number>;
  readonly timing: Map<string, number>;
  readonly fates: Map<string, number>;
}

const keptSeconds = 300;
const fateNames: Readonly<Record<string, string>> = {
  frames_analysed: 'analysed',
  frames_filtered: 'filtered',
  frames_dropped_ingest: 'dropped at ingest',
  frames_dropped_deadline: 'too late',
  frames_failed: 'failed',
};

/** Sums up the results that pass by, a bucket per second; five minutes are kept. */
export class LiveHistory {
  readonly #buckets: Bucket[] = [];

  add(result: FrameResult): void {
    const second = Math.floor(result.captureMs / 1000);
    let bucket = this.#buckets.at(-1);
    if (bucket === undefined || second > bucket.second) {
      bucket = { second, frames: 0, objects: new Map(), timing: new Map(), fates: new Map() };
      this.#buckets.push(bucket);
      if (this.#buckets.length > keptSeconds) this.#buckets.shift();
    }
    bucket.frames += 1;
    for (const object of result.objects) increase(bucket.objects, object.className, 1);
    for (const [stage, ms] of Object.entries(result.timingMs)) increase(bucket.timing, stage, ms);
    for (const [name, count] of Object.entries(result.accounting)) {
      const fate = fateNames[name];
      if (fate !== undefined) increase(bucket.fates, fate, count);
    }
  }

  /** Objects seen at once, by class: the mean over the frames of a second. */
  objects(): Series {
    return this.#series((bucket) => bucket.objects, true);
  }

  latency(): Series {
    return this.#series((bucket) => bucket.timing, true);
  }

  fates(): Series {
    return this.#series((bucket) => bucket.fates, false);
  }

  #series(pick: (bucket: Bucket) => ReadonlyMap<string, number>, perFrame: boolean): Series {
    const names = [...new Set(this.#buckets.flatMap((bucket) => [...pick(bucket).keys()]))].toSorted();
    return {
      names,
      times: this.#buckets.map((bucket) => bucket.second),
      columns: names.map((name) =>
        this.#buckets.map((bucket) => (pick(bucket).get(name) ?? 0) / (perFrame ? bucket.frames : 1)),
      ),
    };
  }
}

function increase(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
