import type { DetectionFrame } from '../../../../schemas/index.ts';
import type { Clock } from '../clock.ts';
import { toAppError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { startName, type RolloutLog } from './rollout-log.ts';
import { RolloutMonitor, type CandidateReport } from './rollout-monitor.ts';
import {
  applyStep,
  initialRollout,
  modelKey,
  planStep,
  sameModel,
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
  /** Whether a canary is rolled back from here when it fails its gate. Default true. */
  readonly judges?: boolean;
  /** How often the gate is looked at. Default 1 s. */
  readonly gateIntervalMs?: number;
}

export interface StartModel {
  readonly model: ModelRef;
  readonly when: 'always' | 'first';
}

export interface RolloutController {
  /**
   * Reads the steps so far and carries the state out that they come to. `start` is the model that is loaded already: its activation is a step
   * too, `always` where the steps say another one, or `first` where they say none. A candidate that can no longer be loaded is rolled back;
   * rejects where the active model cannot be.
   */
  open(start?: StartModel): Promise<void>;
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
  /** One thing after another: a step is planned on the state that the one before it has left. */
  let work: Promise<unknown> = Promise.resolve();
  /** The step that is being made here; its models are loaded. */
  let making = 0;
  let watching: Promise<void> | undefined;
  let stopWatching: (() => void) | undefined;

  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = work.then(task);
    work = done.catch(() => undefined);
    return done;
  }

  async function prepareAll({ active, candidate }: RolloutState): Promise<void> {
    for (const model of [active, candidate?.model ?? null]) if (model !== null) await stage?.prepare(model);
  }

  function heard(step: RolloutStep): void {
    const next = applyStep(state, step);
    if (next === state) return;
    state = next;
    monitor.follow(state);
    const { revision, action, model, by, reason, share, cameras } = step;
    logger.info({ action, model: modelKey(model), share, ...(cameras && { cameras }), by, reason }, 'model roll-out');
    if (stage === undefined) return;
    // From the next frame on; what others have decided has to be loaded first.
    if (revision === making) {
      try {
        stage.follow(state);
        return;
      } catch {
        // Another's step took the place of ours, or a version has left memory meanwhile.
      }
    }
    void inTurn(carryOut); // it never rejects
  }

  /** Brings what works here to the state that was decided elsewhere. What cannot be loaded is rolled back for everybody. */
  async function carryOut(): Promise<void> {
    const wanted = state;
    if (stage === undefined || wanted.active === null || stopping.signal.aborted) return;
    try {
      await prepareAll(wanted);
      // Else another step came meanwhile, and its own turn is next.
      if (wanted === state) stage.follow(wanted);
    } catch (thrown) {
      await rollBackBroken(wanted, thrown);
    }
  }

  async function rollBackBroken(wanted: RolloutState, thrown: unknown): Promise<void> {
    const { code, message } = toAppError(thrown);
    logger.error({ code, reason: message }, 'a version of the roll-out cannot be loaded');
    if (wanted !== state || stopping.signal.aborted) return;
    try {
      const model = wanted.candidate?.model ?? wanted.active;
      await make({
        action: 'rollback',
        by: startName,
        ...(model && { model }),
        reason: `cannot be loaded: ${code}: ${message}`,
      });
    } catch (failure) {
      logger.error({ code: toAppError(failure).code, reason: toAppError(failure).message }, 'it stays as it is here');
    }
  }

  async function make(command: RolloutCommand): Promise<RolloutStep> {
    const opinion = monitor.report()?.gate;
    const planned = planStep(state, command, {
      timeUs: clock.nowUs(),
      ...(opinion === undefined ? {} : { gate: opinion }),
    });
    try {
      await prepareAll(applyStep(state, planned));
      making = planned.revision;
      // Loading may have taken seconds.
      const step = { ...planned, timeUs: clock.nowUs() };
      await log.append(step);
      return step;
    } catch (error) {
      // What was loaded for the step leaves memory again.
      void inTurn(carryOut); // it never rejects
      throw error;
    } finally {
      making = 0;
    }
  }

  const isNews = ({ model, when }: StartModel): boolean =>
    when === 'always' ? !sameModel(state.active, model) : state.active === null;

  async function activateFirst(model: ModelRef): Promise<void> {
    const reason = 'the process was started with it';
    try {
      await execute({ action: 'activate', model, by: startName, reason, force: true });
    } catch (error) {
      // Another process that starts was faster; then its word holds here too.
      if (toAppError(error).code !== 'SIGHTLINE_ROLLOUT_CHANGED') throw error;
      await inTurn(takeUp);
    }
  }

  async function takeUp(): Promise<void> {
    const wanted = state;
    if (stage === undefined || wanted.active === null) return;
    await stage.prepare(wanted.active);
    try {
      if (wanted.candidate !== null) await stage.prepare(wanted.candidate.model);
      // Else another step came meanwhile, and its own turn is next.
      if (wanted === state) stage.follow(wanted);
    } catch (thrown) {
      await rollBackBroken(wanted, thrown);
    }
  }

  const execute = (command: RolloutCommand): Promise<RolloutStep> => inTurn(() => make(command));

  async function lookAtGate(): Promise<void> {
    await log.refresh();
    const { candidate } = state;
    const gate = monitor.report()?.gate;
    if (options.judges === false || candidate?.mode !== 'canary' || gate?.verdict !== 'fail') return;
    logger.warn({ model: modelKey(candidate.model), reason: gate.reason }, 'the canary fails its gate');
    await inTurn(async () => {
      // A step that was under way may have taken it away; then a rollback would be one of the active model.
      if (state.candidate !== candidate) return;
      await make({ action: 'rollback', model: candidate.model, by: 'gate', reason: `gate: ${gate.reason}` });
    });
  }

  async function watchGate(): Promise<void> {
    const goesOn = async (): Promise<boolean> => {
      await clock.sleep(options.gateIntervalMs ?? 1_000, stopping.signal).catch(() => undefined);
      return !stopping.signal.aborted;
    };
    while (await goesOn()) {
      await lookAtGate().catch((thrown: unknown) => {
        const { code, message } = toAppError(thrown);
        logger.error({ code, reason: message }, 'the gate of the canary could not be looked after, trying again');
      });
    }
  }

  return {
    async open(start) {
      await log.open();
      state = log.steps().reduce(applyStep, initialRollout);
      monitor.follow(state);
      stopWatching ??= log.watch(heard);
      if (start === undefined || !isNews(start)) await inTurn(takeUp);
      else await activateFirst(start.model);
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
