import { describe, expect, it } from 'vitest';

import { createMetricStore } from '#shared/core/metric-store';
import { renderPrometheusText } from '#shared/core/prometheus-text';

const text = (store: ReturnType<typeof createMetricStore>): string[] =>
  renderPrometheusText(store.snapshot())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

describe('createMetricStore', () => {
  it('counts per series', () => {
    const store = createMetricStore();
    const dropped = store.counter({ name: 'dropped_total', help: 'Frames dropped.', labels: ['camera', 'reason'] });
    dropped.with({ camera: 'a', reason: 'deadline' }).add();
    dropped.with({ camera: 'a', reason: 'deadline' }).add(2);
    dropped.with({ camera: 'b', reason: 'ring_full' }).add(0);
    expect(text(store)).toEqual([
      'dropped_total{camera="a",reason="deadline"} 3',
      'dropped_total{camera="b",reason="ring_full"} 0',
    ]);
  });

  it('refuses to count down', () => {
    const counter = createMetricStore().counter({ name: 'a_total', help: '' }).with({});
    expect(() => {
      counter.add(-1);
    }).toThrow(RangeError);
  });

  it('counts what comes above the limit of series together', () => {
    const store = createMetricStore();
    const frames = store.counter({ name: 'frames_total', help: '', labels: ['camera'], maxSeries: 2 });
    for (const camera of ['a', 'b', 'c', 'd']) frames.with({ camera }).add();
    expect(text(store)).toEqual([
      'frames_total{camera="a"} 1',
      'frames_total{camera="b"} 1',
      'frames_total{camera="other"} 2',
    ]);
  });

  it('forgets a removed series', () => {
    const store = createMetricStore();
    const fps = store.gauge({ name: 'fps', help: '', labels: ['camera'] });
    fps.with({ camera: 'a' }).set(5);
    fps.remove({ camera: 'a' });
    expect(text(store)).toEqual([]);
  });

  it('reads a followed gauge when asked', () => {
    const store = createMetricStore();
    let depth = 1;
    store
      .gauge({ name: 'queue_depth', help: '' })
      .with({})
      .follow(() => depth);
    depth = 7;
    expect(text(store)).toEqual(['queue_depth 7']);
  });

  it('sums a histogram upwards', () => {
    const store = createMetricStore();
    const wait = store.histogram({ name: 'wait_seconds', help: '', buckets: [0.1, 1] }).with({});
    for (const value of [0.1, 0.5, 3]) wait.observe(value);
    expect(text(store)).toEqual([
      'wait_seconds_bucket{le="0.1"} 1',
      'wait_seconds_bucket{le="1"} 2',
      'wait_seconds_bucket{le="+Inf"} 3',
      'wait_seconds_sum 3.6',
      'wait_seconds_count 3',
    ]);
  });

  it('gives the same metric for the same definition and refuses another one under its name', () => {
    const store = createMetricStore();
    const definition = { name: 'a_total', help: '', labels: ['x'] } as const;
    expect(store.counter(definition)).toBe(store.counter(definition));
    expect(() => store.gauge(definition)).toThrow('defined twice');
  });

  it('escapes what a label may hold', () => {
    const store = createMetricStore();
    store
      .counter({ name: 'a_total', help: 'one\ntwo', labels: ['x'] })
      .with({ x: 'say "hi"\n\\' })
      .add();
    expect(renderPrometheusText(store.snapshot())).toBe(
      '# HELP a_total one\\ntwo\n# TYPE a_total counter\na_total{x="say \\"hi\\"\\n\\\\"} 1\n',
    );
  });
});
