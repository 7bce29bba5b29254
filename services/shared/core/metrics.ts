/**
 * Numbers about the running process. A metric is made once with its name and label names; a caller asks once for the series of its label
 * values and keeps it: counting is then one addition, cheap enough for every frame.
 */
export interface Metrics {
  counter<Label extends string = never>(definition: MetricDefinition<Label>): MetricFamily<Label, Counter>;
  gauge<Label extends string = never>(definition: MetricDefinition<Label>): MetricFamily<Label, Gauge>;
  histogram<Label extends string = never>(definition: HistogramDefinition<Label>): MetricFamily<Label, Histogram>;
}

export interface MetricDefinition<Label extends string> {
  /** In Prometheus' manner: `sightline_frames_received_total`, `sightline_queue_wait_seconds`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
  /** Most series of this metric; what comes above is counted together under the label value `other`. Default 1000. */
  readonly maxSeries?: number;
}

export interface HistogramDefinition<Label extends string> extends MetricDefinition<Label> {
  /** Upper bounds, rising; the one without end is added. */
  readonly buckets: readonly number[];
}

export interface MetricFamily<Label extends string, Instrument> {
  /** The series of these label values; the same values give the same series. */
  with(values: Readonly<Record<Label, string>>): Instrument;
  /** Forgets a series, for example that of a camera that was removed. */
  remove(values: Readonly<Record<Label, string>>): void;
}

export interface Counter {
  /** Adds `amount`, which is not negative. Default 1. */
  add(amount?: number): void;
}

export interface Gauge {
  set(value: number): void;
  /** Reads the value when somebody asks, instead of being told; the series is left out while there is none. */
  follow(read: () => number | undefined): void;
}

export interface Histogram {
  observe(value: number): void;
}
