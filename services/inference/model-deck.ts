import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { modelsFor } from '#shared/core/rollout/assignment';
import type { ModelRef, RolloutState } from '#shared/core/rollout/rollout-state';
import type { ModelRecord } from '#schemas';
import type { DetectionCache } from './core/detection-cache.ts';
import type { InferenceEngine, OpenEngine } from './core/ports.ts';
import { keypointNamesOf } from './core/keypoint-names.ts';
import { modelRecordOf, type ObjectNames } from './detection-record.ts';

/** A version that is loaded, with all that belongs to its work. */
export interface ModelLane {
  readonly ref: ModelRef;
  readonly engine: InferenceEngine;
  readonly model: ModelRecord;
  readonly names: ObjectNames;
  readonly cache: DetectionCache | undefined;
  readonly logger: Logger;
  /** Frames that were given to it and have no result yet. */
  inFlight: number;
  shadowInFlight: number;
  /** Code of the failure that is going on, so that a thousand equal ones are two lines. */
  failing: { code: string; count: number } | undefined;
}

export interface ModelDeckOptions {
  /** The model that it starts with. */
  readonly engine: InferenceEngine;
  /** Absent where the model never changes. */
  readonly openEngine?: OpenEngine;
  readonly cacheOf?: (engine: InferenceEngine) => DetectionCache | undefined;
  /** How long the version before stays loaded after a change, so that going back takes no time. */
  readonly keepWarmMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The versions that are loaded, and which of them a camera's next frame goes to. A change is a change of that answer: frames that were given
 * out before end where they are, and a version leaves memory when its last frame is done.
 */
export class ModelDeck {
  readonly #options: ModelDeckOptions;
  readonly #lanes = new Map<string, ModelLane>();
  readonly #loading = new Map<string, Promise<void>>();
  /** Ends of versions that are leaving; each is owned here and never rejects. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #first: ModelLane;
  #state: RolloutState | undefined;
  /** The version that is kept warm, and what ends that. */
  #warm: { readonly key: string; readonly over: AbortController } | undefined;

  constructor(options: ModelDeckOptions) {
    this.#options = options;
    this.#first = this.#laneOf(options.engine);
    this.#lanes.set(keyOf(this.#first.ref), this.#first);
  }

  /** The lane of the active version. */
  get active(): ModelLane {
    return this.#first;
  }

  get lanes(): readonly ModelLane[] {
    return [...this.#lanes.values()];
  }

  lanesFor(cameraId: string): { readonly primary: ModelLane; readonly shadow: ModelLane | undefined } {
    const models = this.#state === undefined ? null : modelsFor(this.#state, cameraId);
    if (models === null) return { primary: this.#first, shadow: undefined };
    const { primary, shadow } = models;
    return {
      primary: this.#lanes.get(keyOf(primary)) ?? this.#first,
      shadow: shadow === null ? undefined : this.#lanes.get(keyOf(shadow)),
    };
  }

  /** Loads a version beside the others and runs it once. Rejects with the reason where it cannot be used. */
  async prepare(ref: ModelRef): Promise<void> {
    const key = keyOf(ref);
    if (this.#lanes.has(key)) return;
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#load(ref).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    await loading;
  }

  async #load(ref: ModelRef): Promise<void> {
    const { openEngine } = this.#options;
    if (openEngine === undefined)
      throw new AppError('SIGHTLINE_INTERNAL', 'a version was asked for where the model never changes');
    const engine = await openEngine(ref);
    await engine.start({ besideOthers: true });
    const lane = this.#laneOf(engine);
    if (this.#closing.signal.aborted) {
      await engine.close();
      throw new AppError('SIGHTLINE_INFERENCE_STOPPED', 'inference was stopped while a version was loaded');
    }
    this.#lanes.set(keyOf(ref), lane);
  }

  /** From the next frame on. What this state does not need leaves memory, the version before after a while. */
  follow(state: RolloutState): void {
    const { active, candidate, previous } = state;
    const lane = active === null ? undefined : this.#lanes.get(keyOf(active));
    if (lane === undefined || (candidate !== null && !this.#lanes.has(keyOf(candidate.model))))
      throw new AppError('SIGHTLINE_INTERNAL', 'a version was put to work before it was loaded');
    this.#state = state;
    this.#first = lane;
    const needed = new Set([keyOf(lane.ref), ...(candidate === null ? [] : [keyOf(candidate.model)])]);
    this.#keepWarm(previous === null ? undefined : keyOf(previous), needed);
    for (const [key, one] of this.#lanes) if (!needed.has(key) && key !== this.#warm?.key) this.#release(one);
  }

  #keepWarm(key: string | undefined, needed: ReadonlySet<string>): void {
    if (this.#warm?.key === key) return;
    this.#warm?.over.abort();
    this.#warm = undefined;
    if (key === undefined || needed.has(key) || !this.#lanes.has(key)) return;
    const over = new AbortController();
    this.#warm = { key, over };
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    this.#own(
      this.#options.clock.sleep(this.#options.keepWarmMs, signal).then(
        () => {
          this.#warm = undefined;
          const lane = this.#lanes.get(key);
          if (lane !== undefined) this.#release(lane);
        },
        () => undefined,
      ),
    );
  }

  #release(lane: ModelLane): void {
    this.#lanes.delete(keyOf(lane.ref));
    const leave = async (): Promise<void> => {
      // Frames that were given to it before are on their way: between two of them, not in the middle of one.
      while (lane.inFlight + lane.shadowInFlight > 0) await this.#options.clock.sleep(5);
      await lane.engine.drain();
      await lane.engine.close();
      lane.logger.info({}, 'version has left memory');
    };
    this.#own(
      leave().catch((thrown: unknown) => {
        const { code, message } = toAppError(thrown);
        lane.logger.error({ code, reason: message }, 'version could not leave memory');
      }),
    );
  }

  #own(work: Promise<void>): void {
    const owned = work.finally(() => this.#leaving.delete(owned));
    this.#leaving.add(owned);
  }

  async drain(): Promise<void> {
    await Promise.all(this.lanes.map(({ engine }) => engine.drain()));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#loading.values()]);
    const results = await Promise.allSettled(this.lanes.map(({ engine }) => engine.close()));
    await Promise.all(this.#leaving);
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  #laneOf(engine: InferenceEngine): ModelLane {
    let model = modelRecordOf(engine);
    const { name, version, digest } = model;
    return {
      ref: { name, version, digest },
      engine,
      get model() {
        // Where it runs is certain only once it has started.
        if (model.runtime !== engine.runtime) model = modelRecordOf(engine);
        return model;
      },
      names: {
        labels: engine.manifest.labels,
        keypoints: keypointNamesOf(engine.manifest),
        embeddingModel: engine.embeddingModel,
      },
      cache: this.#options.cacheOf?.(engine),
      logger: this.#options.logger.child({ model: name, version }),
      ...{ inFlight: 0, shadowInFlight: 0, failing: undefined },
    };
  }
}

function keyOf({ name, version, digest }: ModelRef): string {
  return `${name}@${version}#${digest}`;
}
