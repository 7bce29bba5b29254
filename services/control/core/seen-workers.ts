import type { DetectionFrame } from '#schemas';

/** Without a result for so long, what made them is no longer shown. */
const keptMs = 60_000;
/** More instances or models than anybody runs at once; older ones make room. */
const most = 1_000;

export interface SeenWorker {
  readonly instanceId: string;
  readonly version: string;
  readonly silentMs: number;
}

interface Seen<What> {
  readonly what: What;
  atMs: number;
}

/** The inference processes and models at work, by the results that come from them: they tell nobody else that they are there. */
export class SeenWorkers {
  readonly #nowMs: () => number;
  readonly #workers = new Map<string, Seen<{ readonly version: string }>>();
  readonly #models = new Map<string, Seen<DetectionFrame['model']>>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  addResult({ header, model }: DetectionFrame): void {
    const { instance_id: instanceId, version } = header.producer;
    note(this.#workers, instanceId, { version }, this.#nowMs());
    note(this.#models, `${model.name} ${model.version} ${model.digest} ${model.role}`, model, this.#nowMs());
  }

  workers(): readonly SeenWorker[] {
    const nowMs = this.#nowMs();
    return fresh(this.#workers, nowMs).map(([instanceId, { what, atMs }]) => ({
      ...{ instanceId, version: what.version, silentMs: Math.round(nowMs - atMs) },
    }));
  }

  /** The one that the last result came from is the last. */
  models(): readonly DetectionFrame['model'][] {
    return fresh(this.#models, this.#nowMs()).map(([, { what }]) => what);
  }
}

function note<What>(seen: Map<string, Seen<What>>, key: string, what: What, nowMs: number): void {
  const known = seen.get(key);
  if (known !== undefined) {
    known.atMs = nowMs;
    return;
  }
  seen.set(key, { what, atMs: nowMs });
  if (seen.size > most) seen.delete(seen.keys().next().value ?? '');
}

function fresh<What>(seen: Map<string, Seen<What>>, nowMs: number): [string, Seen<What>][] {
  for (const [key, { atMs }] of seen) if (nowMs - atMs > keptMs) seen.delete(key);
  return [...seen].sort(([, one], [, other]) => one.atMs - other.atMs);
}
