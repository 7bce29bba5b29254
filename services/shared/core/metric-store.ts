import type {
  Counter,
  Gauge,
  Histogram,
  HistogramDefinition,
  MetricDefinition,
  MetricFamily,
  Metrics,
} from './metrics.ts';

export type MetricKind = 'counter' | 'gauge' | 'histogram';

export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with the samples of all its series, in the form that Prometheus' text has: a histogram as `_bucket`, `_sum` and `_count`. */
export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly samples: readonly MetricSample[];
}

/** Keeps the numbers in plain objects. What shows them (Prometheus' text) is made only when somebody asks: see runtime/metrics.ts. */
export interface MetricStore extends Metrics {
  snapshot(): readonly MetricSnapshot[];
}

const defaultMaxSeries = 1000;
const overflowLabel = 'other';

interface Sampled {
  samples(name: string, labels: Readonly<Record<string, string>>): MetricSample[];
}

export function createMetricStore(): MetricStore {
  const families = new Map<string, { kind: MetricKind; family: Family<string, Sampled> }>();

  function define<Label extends string, Instrument extends Sampled>(
    kind: MetricKind,
    definition: MetricDefinition<Label>,
    create: () => Instrument,
  ): Family<Label, Instrument> {
    const known = families.get(definition.name);
    if (known !== undefined) {
      if (known.kind !== kind || known.family.labelNames.join() !== (definition.labels ?? []).join()) {
        throw new TypeError(`metric ${definition.name} is defined twice in different ways`);
      }
      // The same name and kind was made by the same `create`, so the family holds these instruments.
      return known.family as unknown as Family<Label, Instrument>;
    }
    const family = new Family(definition, create);
    families.set(definition.name, { kind, family: family });
    return family;
  }

  return {
    counter: (definition) => define('counter', definition, () => new PlainCounter()),
    gauge: (definition) => define('gauge', definition, () => new PlainGauge()),
    histogram: (definition) => define('histogram', definition, () => new PlainHistogram(risingBuckets(definition))),
    snapshot: () =>
      [...families.values()].map(({ kind, family }) => ({
        name: family.name,
        help: family.help,
        kind,
        samples: family.samples(),
      })),
  };
}

function risingBuckets<Label extends string>(definition: HistogramDefinition<Label>): readonly number[] {
  const { buckets, name } = definition;
  if (buckets.some((bound, index) => index > 0 && bound <= (buckets[index - 1] ?? -Infinity))) {
    throw new TypeError(`buckets of metric ${name} do not rise`);
  }
  return buckets;
}

class Family<Label extends string, Instrument extends Sampled> implements MetricFamily<Label, Instrument> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly Label[];
  readonly #maxSeries: number;
  readonly #create: () => Instrument;
  readonly #series = new Map<string, { labels: Readonly<Record<string, string>>; instrument: Instrument }>();

  constructor(definition: MetricDefinition<Label>, create: () => Instrument) {
    this.name = definition.name;
    this.help = definition.help;
    this.labelNames = definition.labels ?? [];
    this.#maxSeries = definition.maxSeries ?? defaultMaxSeries;
    this.#create = create;
  }

  with(values: Readonly<Record<Label, string>>): Instrument {
    const key = this.#key(values);
    const known = this.#series.get(key);
    if (known !== undefined) return known.instrument;
    if (this.#series.size >= this.#maxSeries) return this.#overflow();
    return this.#add(key, Object.fromEntries(this.labelNames.map((label) => [label, values[label]])));
  }

  remove(values: Readonly<Record<Label, string>>): void {
    this.#series.delete(this.#key(values));
  }

  samples(): MetricSample[] {
    return [...this.#series.values()].flatMap(({ labels, instrument }) => instrument.samples(this.name, labels));
  }

  #overflow(): Instrument {
    const labels = Object.fromEntries(this.labelNames.map((label) => [label, overflowLabel]));
    const key = this.labelNames.map(() => overflowLabel).join('\u0000');
    return this.#series.get(key)?.instrument ?? this.#add(key, labels);
  }

  #add(key: string, labels: Readonly<Record<string, string>>): Instrument {
    const instrument = this.#create();
    this.#series.set(key, { labels, instrument });
    return instrument;
  }

  #key(values: Readonly<Record<Label, string>>): string {
    return this.labelNames.map((label) => values[label]).join('\u0000');
  }
}

class PlainCounter implements Counter, Sampled {
  #value = 0;

  add(amount = 1): void {
    if (!(amount >= 0)) throw new RangeError('a counter only rises');
    this.#value += amount;
  }

  samples(name: string, labels: Readonly<Record<string, string>>): MetricSample[] {
    return [{ name, labels, value: this.#value }];
  }
}

class PlainGauge implements Gauge, Sampled {
  #value = 0;
  #read: (() => number | undefined) | undefined;

  set(value: number): void {
    this.#value = value;
    this.#read = undefined;
  }

  follow(read: () => number | undefined): void {
    this.#read = read;
  }

  samples(name: string, labels: Readonly<Record<string, string>>): MetricSample[] {
    const value = this.#read === undefined ? this.#value : this.#read();
    return value === undefined ? [] : [{ name, labels, value }];
  }
}

class PlainHistogram implements Histogram, Sampled {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  samples(name: string, labels: Readonly<Record<string, string>>): MetricSample[] {
    let below = 0;
    const samples = this.#counts.map((count, index) => {
      below += count;
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf';
      return { name: `${name}_bucket`, labels: { ...labels, le }, value: below };
    });
    return [
      ...samples,
      { name: `${name}_sum`, labels, value: this.#sum },
      { name: `${name}_count`, labels, value: below },
    ];
  }
}
