import type { DetectionFrame } from '../../../../schemas/index.ts';
import type { Clock } from '../clock.ts';
import { toAppError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { RolloutLog } from './rollout-log.ts';
import { RolloutMonitor, type CandidateReport } from './rollout-monitor.ts';
import {
  applyStep,
  initialRollout,
  modelKey,
  planStep,
  type ModelRef,
  type RolloutCommand,
  type RolloutState,
  type RolloutStep,
} from './rollout-state.ts';

/** What carries a state out where the models run. Absent where that is done elsewhere. */
export interface RolloutStage {
  /** Loads a version and runs it once, beside what works. Rejects where it cannot be used; nothing has changed then. */
  prepare(model: ModelRef): Promise<void>;
  /** From the next frame on, by this state. All its models were prepared. */
  follow(state: RolloutState): void;
}

export interface RolloutControllerOptions {
  readonly log: RolloutLog;
  readonly stage?: RolloutStage;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the gate is looked at. Default 1 s. */
  readonly gateIntervalMs?: number;
}

export interface RolloutController {
  /** Reads the steps so far and carries the state out that they come to. */
  open(): Promise<void>;
  state(): RolloutState;
  /** Oldest first. */
  history(): readonly RolloutStep[];
  /** Undefined where there is no candidate. */
  report(): CandidateReport | undefined;
  /** Every record that is made, for the gate. */
  observe(record: DetectionFrame): void;
  /**
   * Makes a step: what it needs is loaded first, then it is kept, then it holds from the next frame on. Throws SIGHTLINE_ROLLOUT_REFUSED,
   * and what is wrong with a model that cannot be loaded; nothing has changed then.
   */
  execute(command: RolloutCommand): Promise<RolloutStep>;
  close(): Promise<void>;
}

export function createRolloutController(options: RolloutControllerOptions): RolloutController {
  const { log, stage, clock, logger } = options;
  const monitor = new RolloutMonitor();
  const stopping = new AbortController();
  let state = initialRollout;
  let work: Promise<unknown> = Promise.resolve();
  let watching: Promise<void> | undefined;
  let stopWatching: (() => void) | undefined;

  function hold(next: RolloutState): void {
    state = next;
    monitor.follow(state);
  }

  async function prepareAll({ active, candidate }: RolloutState): Promise<void> {
    for (const model of [active, candidate?.model ?? null]) if (model !== null) await stage?.prepare(model);
  }

  function heard(step: RolloutStep): void {
    const next = applyStep(state, step);
    if (next === state) return;
    hold(next);
    const { action, model, by, reason, share, cameras } = step;
    logger.info({ action, model: modelKey(model), share, ...(cameras && { cameras }), by, reason }, 'model roll-out');
    stage?.follow(state);
  }

  async function make(command: RolloutCommand): Promise<RolloutStep> {
    const opinion = monitor.report()?.gate;
    const step = planStep(state, command, {
      timeUs: clock.nowUs(),
      ...(opinion === undefined ? {} : { gate: opinion }),
    });
    try {
      await prepareAll(applyStep(state, step));
      await log.append(step);
    } catch (error) {
      // What was loaded for the step leaves memory again.
      if (state.active !== null) stage?.follow(state);
      throw error;
    }
    return step;
  }

  /** One after another: a step is planned on the state that the one before it has left. */
  function execute(command: RolloutCommand): Promise<RolloutStep> {
    const made = work.then(() => make(command));
    work = made.catch(() => undefined);
    return made;
  }

  async function lookAtGate(): Promise<void> {
    const { candidate } = state;
    const gate = monitor.report()?.gate;
    if (candidate?.mode !== 'canary' || gate?.verdict !== 'fail') return;
    logger.warn({ model: modelKey(candidate.model), reason: gate.reason }, 'the canary fails its gate');
    await execute({ action: 'rollback', by: 'gate', reason: `gate: ${gate.reason}` });
  }

  async function watchGate(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(options.gateIntervalMs ?? 1_000, stopping.signal).catch(() => undefined);
      if (stopping.signal.aborted) return;
      await lookAtGate().catch((thrown: unknown) => {
        const { code, message } = toAppError(thrown);
        logger.error({ code, reason: message }, 'the canary could not be rolled back, trying again');
      });
    }
  }

  return {
    async open() {
      await log.open();
      hold(log.steps().reduce(applyStep, initialRollout));
      stopWatching = log.watch(heard);
      if (state.active !== null) {
        await prepareAll(state);
        stage?.follow(state);
      }
      watching ??= watchGate();
    },
    state: () => state,
    history: () => log.steps(),
    report: () => monitor.report(),
    observe: (record) => monitor.add(record),
    execute,
    async close() {
      stopping.abort();
      stopWatching?.();
      await watching;
      await work;
      await log.close();
    },
  };
}
