import { AppError } from '../errors.ts';
import { defaultGate, type GateRules } from './gate-rules.ts';

/** One version of a model, and no other: two files of one name and version have two digests. */
export interface ModelRef {
  readonly name: string;
  readonly version: string;
  /** sha256 of the model file, hex. */
  readonly digest: string;
}

export type RolloutAction = 'activate' | 'shadow' | 'canary' | 'promote' | 'rollback' | 'retire';
/** What a version is at. A version that no step speaks of is `REGISTERED`. */
export type VersionState = 'REGISTERED' | 'SHADOW' | 'CANARY' | 'ACTIVE' | 'RETIRED' | 'ROLLED_BACK';

/** Which cameras a candidate gets: those that are named, or a share of all by the hash of their ids. */
export interface CameraShare {
  /** 0..1, of the cameras. */
  readonly share: number;
  readonly cameras: readonly string[] | null;
}

export interface Candidate extends CameraShare {
  readonly model: ModelRef;
  readonly mode: 'shadow' | 'canary';
  readonly gate: GateRules;
  readonly sinceUs: number;
}

/** One step of a roll-out, as it is kept for ever. The state is what all steps so far come to. */
export interface RolloutStep extends CameraShare {
  /** From 1 without gaps: of two steps that are made on one state the second is refused. */
  readonly revision: number;
  readonly timeUs: number;
  readonly action: RolloutAction;
  readonly model: ModelRef;
  /** Who: the name of a token or a user; `gate` for the gate, `start` for the start of a run. */
  readonly by: string;
  readonly reason: string;
  /** Null for steps without a candidate. */
  readonly gate: GateRules | null;
}

export interface RolloutState {
  readonly revision: number;
  /** Null before the first start. */
  readonly active: ModelRef | null;
  /** What a rollback goes back to. */
  readonly previous: ModelRef | null;
  readonly candidate: Candidate | null;
  /** Of every version that a step spoke of, by `modelKey`. */
  readonly versions: ReadonlyMap<
    string,
    { readonly model: ModelRef; readonly state: VersionState; readonly step: RolloutStep }
  >;
}

export interface RolloutCommand {
  readonly action: RolloutAction;
  /**
   * The version it is about. `promote` and `rollback` need none, since there is only one that they can be about; with it they are refused
   * where that has changed since the caller looked.
   */
  readonly model?: ModelRef;
  readonly share?: number;
  readonly cameras?: readonly string[];
  readonly gate?: Partial<GateRules>;
  readonly by: string;
  readonly reason?: string;
  /** Also where the gate has not passed, or the version was retired. */
  readonly force?: boolean;
}

export const initialRollout: RolloutState = {
  revision: 0,
  active: null,
  previous: null,
  candidate: null,
  versions: new Map(),
};

export function modelKey({ name, version }: Pick<ModelRef, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

export function sameModel(one: ModelRef | null, other: ModelRef | null): boolean {
  return one !== null && other !== null && one.digest === other.digest && modelKey(one) === modelKey(other);
}

/** What the gate says of the candidate now; `promote` asks. */
export interface GateOpinion {
  readonly verdict: 'pass' | 'fail' | 'pending';
  readonly reason: string;
}

/**
 * The step that a command comes to. Throws SIGHTLINE_ROLLOUT_REFUSED where it makes no sense in this state. Nothing is changed: whoever
 * keeps the step has then made it.
 */
export function planStep(
  state: RolloutState,
  command: RolloutCommand,
  { timeUs, gate }: { readonly timeUs: number; readonly gate?: GateOpinion },
): RolloutStep {
  const { action, by, force = false } = command;
  const step = (model: ModelRef, reason: string, rest: Partial<RolloutStep> = {}): RolloutStep => ({
    revision: state.revision + 1,
    timeUs,
    action,
    model,
    by,
    reason: cut(command.reason ?? reason),
    share: 0,
    cameras: null,
    gate: null,
    ...rest,
  });
  switch (action) {
    case 'activate': {
      const model = namedModel(state, command);
      if (sameModel(model, state.active)) throw refused(`${modelKey(model)} is active already`);
      return step(model, 'activated', { share: 1 });
    }
    case 'shadow':
    case 'canary': {
      const model = namedModel(state, command);
      if (state.active === null)
        throw refused(
          'no model is active yet that it could be compared with',
          'Activate the one at work first: sightline models activate NAME.',
        );
      if (sameModel(model, state.active)) throw refused(`${modelKey(model)} is the active model itself`);
      const { candidate } = state;
      if (candidate !== null && !sameModel(candidate.model, model) && !force)
        throw refused(
          `${modelKey(candidate.model)} is at ${candidate.mode} already`,
          'Promote it or roll it back first.',
        );
      const rest = { share: shareOf(command), cameras: camerasOf(command), gate: gateOf(command, candidate, model) };
      return step(
        model,
        action === 'shadow' ? 'compared beside the active model' : 'tried on a share of cameras',
        rest,
      );
    }
    case 'promote': {
      const { candidate } = state;
      if (candidate === null)
        throw refused('there is no candidate to promote', 'Begin with shadow or canary, or use activate.');
      if (command.model !== undefined && !sameModel(command.model, candidate.model))
        throw refused(`${modelKey(command.model)} is not the candidate; ${modelKey(candidate.model)} is`);
      if (gate?.verdict !== 'pass' && !force) {
        const why = gate === undefined ? 'nobody has watched its gate' : gate.reason;
        throw refused(`its gate has not passed: ${why}`, 'Wait until it has, or promote with --force.');
      }
      return step(candidate.model, gate === undefined ? 'promoted' : `promoted: ${gate.reason}`, { share: 1 });
    }
    case 'rollback': {
      checkRollback(state, command);
      if (state.candidate !== null) return step(state.candidate.model, 'rolled back');
      if (state.active === null || state.previous === null) throw refused('there is nothing to go back to');
      return step(state.active, `rolled back to ${modelKey(state.previous)}`);
    }
    case 'retire': {
      const model = named(command);
      if (sameModel(model, state.active))
        throw refused(`${modelKey(model)} is active`, 'Activate another version first.');
      if (sameModel(model, state.candidate?.model ?? null))
        throw refused(`${modelKey(model)} is at ${state.candidate?.mode ?? ''}`, 'Roll it back first.');
      if (state.versions.get(modelKey(model))?.state === 'RETIRED')
        throw refused(`${modelKey(model)} is retired already`);
      return step(model, 'retired');
    }
  }
}

/** The state after a step. A step of another revision than the next one is passed over: it was made on a state that is gone. */
export function applyStep(state: RolloutState, step: RolloutStep): RolloutState {
  if (step.revision !== state.revision + 1) return state;
  const versions = new Map(state.versions);
  const mark = (model: ModelRef | null, to: VersionState): void => {
    if (model !== null) versions.set(modelKey(model), { model, state: to, step });
  };
  const next = { ...state, revision: step.revision, versions };
  switch (step.action) {
    case 'activate':
    case 'promote':
      if (!sameModel(step.model, state.candidate?.model ?? null)) mark(state.candidate?.model ?? null, 'REGISTERED');
      mark(state.active, 'REGISTERED');
      mark(step.model, 'ACTIVE');
      return { ...next, active: step.model, previous: state.active, candidate: null };
    case 'shadow':
    case 'canary': {
      mark(state.candidate?.model ?? null, 'REGISTERED');
      mark(step.model, step.action === 'shadow' ? 'SHADOW' : 'CANARY');
      const { model, share, cameras, gate, timeUs } = step;
      return {
        ...next,
        previous: sameModel(model, state.previous) ? null : state.previous,
        candidate: { model, mode: step.action, share, cameras, gate: gate ?? defaultGate, sinceUs: timeUs },
      };
    }
    case 'rollback':
      mark(step.model, 'ROLLED_BACK');
      if (state.candidate !== null) return { ...next, candidate: null };
      mark(state.previous, 'ACTIVE');
      return { ...next, active: state.previous, previous: null };
    case 'retire':
      mark(step.model, 'RETIRED');
      return { ...next, previous: sameModel(step.model, state.previous) ? null : state.previous };
  }
}

/**
 * Whoever asks for a rollback has looked a moment ago. Meanwhile the gate, or a colleague, may have taken the candidate away, and then it is
 * not the active model that is meant.
 */
function checkRollback(state: RolloutState, { model }: RolloutCommand): void {
  const { candidate, active } = state;
  if (model === undefined) {
    const last = [...state.versions.values()].find(({ step }) => step.revision === state.revision)?.step;
    if (candidate !== null || active === null || last?.action !== 'rollback') return;
    throw refused(
      `${modelKey(last.model)} was just rolled back by ${last.by}`,
      `Name the version, where ${modelKey(active)} is to be rolled back too.`,
    );
  }
  if (sameModel(model, candidate?.model ?? active)) return;
  if (candidate !== null && sameModel(model, active))
    throw refused(`${modelKey(candidate.model)} is at ${candidate.mode} beside it`, 'Roll that one back first.');
  const known = state.versions.get(modelKey(model));
  throw refused(
    known?.state === 'ROLLED_BACK'
      ? `${modelKey(model)} was rolled back already, by ${known.step.by}: ${known.step.reason}`
      : `${modelKey(model)} is neither active nor a candidate`,
  );
}

function named({ model, action }: RolloutCommand): ModelRef {
  if (model === undefined) throw refused(`${action} needs the version that it is about`);
  return model;
}

function namedModel(state: RolloutState, command: RolloutCommand): ModelRef {
  const model = named(command);
  const known = state.versions.get(modelKey(model));
  if (known?.state === 'RETIRED' && command.force !== true)
    throw refused(`${modelKey(model)} is retired`, 'Take another version, or bring it back with --force.');
  if (known !== undefined && known.model.digest !== model.digest && command.force !== true)
    throw refused(
      `${modelKey(model)} was another file before`,
      'A version never changes: give the new file a version of its own.',
    );
  return model;
}

function shareOf({ share, cameras }: RolloutCommand): number {
  if (cameras !== undefined && share !== undefined)
    throw refused('give a share of the cameras or their names, not both');
  const value = share ?? (cameras === undefined ? 0.1 : 0);
  if (!(value >= 0 && value <= 1)) throw refused('a share is a number from 0 to 1');
  return value;
}

function camerasOf({ cameras }: RolloutCommand): readonly string[] | null {
  if (cameras === undefined) return null;
  if (cameras.length === 0) throw refused('name at least one camera');
  return [...new Set(cameras)].sort();
}

/** From shadow to canary the rules stay unless others are given. */
function gateOf(command: RolloutCommand, candidate: Candidate | null, model: ModelRef): GateRules {
  const before = sameModel(candidate?.model ?? null, model) ? candidate?.gate : undefined;
  return { ...(before ?? defaultGate), ...command.gate };
}

function cut(reason: string): string {
  return reason.slice(0, 500);
}

function refused(message: string, action?: string): AppError {
  return new AppError('SIGHTLINE_ROLLOUT_REFUSED', message, action === undefined ? {} : { action });
}
