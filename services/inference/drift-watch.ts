import type { DriftState } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import { DriftMonitor, type DriftFigure, type DriftObservation } from './core/drift/drift-monitor.ts';
import { driftAbove, stableBelow } from './core/drift/psi.ts';

/** A drift that began or ended, for whoever keeps what happens at a site. */
export interface DriftChange extends DriftFigure {
  readonly change: 'started' | 'ended';
  readonly modelDigest: string;
  readonly timeMs: number;
}

export interface DriftWatch {
  add(seen: DriftObservation): void;
  /** What is to be kept of the camera, where that is new: each change of it, and every so often its counts. */
  due(cameraId: string): DriftState | undefined;
  /** Of all cameras, as they are now. */
  states(): readonly DriftState[];
  /** The cameras of these states go on from there. */
  restore(states: Iterable<DriftState>): void;
  /** Cameras that others follow from now on, or followed meanwhile: what is known of them, and their figures, go. */
  forget(isGone: (cameraId: string) => boolean): void;
}

export interface DriftWatchOptions {
  /** Length of the reference and of what is compared with it. */
  readonly windowMs: number;
  /** Told besides the log. It must not throw. */
  readonly onChange?: (change: DriftChange) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Figures of a camera that had no frame for so long are not shown: it was removed, or another process follows it. */
const shownAfterLastFrameMs = 15 * 60_000;

interface ShownCamera {
  lastFrameMs: number;
  readonly series: Map<string, ShownSeries>;
}

interface ShownSeries {
  readonly labels: PsiLabels;
  psi: number;
}

type PsiLabels = Readonly<Record<'camera' | 'class' | 'measure', string>>;

/** Drift as numbers, and its beginning and end as lines of the log. */
export function createDriftWatch({ windowMs, onChange, clock, logger, metrics }: DriftWatchOptions): DriftWatch {
  const monitor = new DriftMonitor({ windowMs });
  const index = metrics.gauge({
    name: 'sightline_drift_psi',
    help: `Population stability index of the last window against the reference, by what is compared; below ${stableBelow} nothing has changed, above ${driftAbove} much has.`,
    labels: ['camera', 'class', 'measure'],
    maxSeries: 5_000,
  });
  const shown = new Map<string, ShownCamera>();
  metrics
    .gauge({ name: 'sightline_drift_rows', help: 'Cameras times classes whose drift is followed, at most 4096.' })
    .with({})
    .follow(() => monitor.rows);

  function show({ cameraId, className, measure, psi }: DriftFigure): void {
    const labels = { camera: cameraId, class: className ?? '', measure };
    const camera = shown.get(cameraId) ?? { lastFrameMs: clock.monotonicMs(), series: new Map() };
    shown.set(cameraId, camera);
    const key = `${measure}/${labels.class}`;
    const known = camera.series.get(key);
    if (known !== undefined) {
      known.psi = psi;
      return;
    }
    const series = { labels, psi };
    camera.series.set(key, series);
    index
      .with(labels)
      .follow(() => (clock.monotonicMs() - camera.lastFrameMs > shownAfterLastFrameMs ? undefined : series.psi));
  }

  return {
    add(seen) {
      const camera = shown.get(seen.cameraId);
      if (camera !== undefined) camera.lastFrameMs = clock.monotonicMs();
      for (const figure of monitor.add(seen)) {
        show(figure);
        const { cameraId, className, measure, psi, change } = figure;
        if (change === null) continue;
        const facts = {
          cameraId,
          measure,
          ...(className !== null && { class: className }),
          psi: Number(psi.toFixed(3)),
        };
        if (change === 'started') logger.warn(facts, 'what a camera shows or a model sees there has drifted');
        else logger.info(facts, 'drift is over');
        onChange?.({ ...figure, change, modelDigest: seen.modelDigest, timeMs: seen.timeMs });
      }
    },
    due: (cameraId) => monitor.due(cameraId),
    states: () => monitor.states(),
    restore: (states) => monitor.restore(states),
    forget(isGone) {
      for (const cameraId of [...monitor.cameraIds, ...shown.keys()]) {
        if (!isGone(cameraId)) continue;
        monitor.forget(cameraId);
        for (const { labels } of shown.get(cameraId)?.series.values() ?? []) index.remove(labels);
        shown.delete(cameraId);
      }
    },
  };
}
