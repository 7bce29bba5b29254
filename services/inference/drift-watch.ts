import type { DriftState } from '#schemas';
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
  readonly logger: Logger;
  readonly metrics: Metrics;
}

type PsiLabels = Readonly<Record<'camera' | 'class' | 'measure', string>>;

/** Drift as numbers, and its beginning and end as lines of the log. */
export function createDriftWatch({ windowMs, onChange, logger, metrics }: DriftWatchOptions): DriftWatch {
  const monitor = new DriftMonitor({ windowMs });
  const index = metrics.gauge({
    name: 'sightline_drift_psi',
    help: `Population stability index of the last window against the reference, by what is compared; below ${stableBelow} nothing has changed, above ${driftAbove} much has.`,
    labels: ['camera', 'class', 'measure'],
    maxSeries: 5_000,
  });
  /** Series of each camera. */
  const shown = new Map<string, Map<string, PsiLabels>>();
  metrics
    .gauge({ name: 'sightline_drift_rows', help: 'Cameras times classes whose drift is followed, at most 4096.' })
    .with({})
    .follow(() => monitor.rows);

  function show({ cameraId, className, measure, psi }: DriftFigure): void {
    const labels = { camera: cameraId, class: className ?? '', measure };
    index.with(labels).set(psi);
    const ofCamera = shown.get(cameraId) ?? new Map<string, PsiLabels>();
    shown.set(cameraId, ofCamera.set(`${measure}/${labels.class}`, labels));
  }

  return {
    add(seen) {
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
        for (const labels of shown.get(cameraId)?.values() ?? []) index.remove(labels);
        shown.delete(cameraId);
      }
    },
  };
}
