import type { CameraStatus, DetectionFrame } from '#schemas';
import type { CameraFigures, LiveFeed, LivePicture, Subscription } from './ports.ts';

interface CameraView {
  status: CameraStatus | undefined;
  /** Newest last. */
  readonly history: DetectionFrame[];
  readonly totals: {
    -readonly [
      Name in keyof Omit<CameraFigures, 'received_fps' | 'analysed_fps' | 'newest_capture_time'>
    ]: CameraFigures[Name];
  };
  /** Monotonic time of each of the last results, with what it accounts for. */
  readonly recent: { readonly atMs: number; readonly received: number; readonly analysed: number }[];
  /** Pictures whose results have not come yet, by frame. */
  readonly pictures: Map<string, Uint8Array>;
  readonly waiting: Set<(picture: LivePicture) => void>;
}

/** Two minutes at five frames a second, which is what charts show. */
const historyLength = 600;
/** Of all cameras together: with hundreds of them each has a shorter past, or a process of modest memory could not hold it. */
const recordsOfAll = 60_000;
const rateWindowMs = 5_000;
/** Frames of a camera that are between ingest and their result; older pictures are given up. */
const maxPictures = 8;

/** The latest of every camera, and who wants to hear of it. Nothing in here grows with time, and nobody who listens holds anybody up. */
export class LiveHub implements LiveFeed {
  readonly #cameras = new Map<string, CameraView>();
  readonly #resultListeners = new Set<(record: DetectionFrame) => void>();
  readonly #statusListeners = new Set<(status: CameraStatus) => void>();
  readonly #nowMs: () => number;
  /** Called when somebody begins to wait for a picture: where pictures come from elsewhere, they are fetched from then on. */
  onWanted: (() => void) | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  addResult(whole: DetectionFrame): void {
    const record = withoutVectors(whole);
    const { camera_id: id, epoch, frame_seq: frameSeq } = record.header;
    const view = this.#view(id);
    view.history.push(record);
    const kept = Math.min(historyLength, Math.ceil(recordsOfAll / this.#cameras.size));
    while (view.history.length > kept) view.history.shift();
    count(view, record, this.#nowMs());
    for (const listener of this.#resultListeners) listener(record);
    const key = `${epoch}/${frameSeq}`;
    const jpeg = view.pictures.get(key);
    if (jpeg === undefined) return;
    view.pictures.delete(key);
    give(view, { jpeg, result: record });
  }

  addStatus(status: CameraStatus): void {
    this.#view(status.camera_id).status = status;
    for (const listener of this.#statusListeners) listener(status);
  }

  /** Whether somebody looks at the camera: pictures are only made for those who do. */
  wantsPicture(cameraId: string): boolean {
    return (this.#cameras.get(cameraId)?.waiting.size ?? 0) > 0;
  }

  /** Cameras that somebody looks at. */
  wantedPictures(): readonly string[] {
    return [...this.#cameras].flatMap(([id, { waiting }]) => (waiting.size > 0 ? [id] : []));
  }

  /** The picture of a frame, its result still to come or come just now. */
  addPicture(
    frame: { readonly cameraId: string; readonly epoch: number; readonly frameSeq: number },
    jpeg: Uint8Array,
  ): void {
    const view = this.#view(frame.cameraId);
    const { pictures } = view;
    const known = view.history
      .slice(-maxPictures)
      .find(({ header }) => header.epoch === frame.epoch && header.frame_seq === frame.frameSeq);
    if (known !== undefined) {
      give(view, { jpeg, result: known });
      return;
    }
    // Of a connection that is over: its masks may have been others.
    for (const key of pictures.keys()) if (!key.startsWith(`${frame.epoch}/`)) pictures.delete(key);
    pictures.set(`${frame.epoch}/${frame.frameSeq}`, jpeg);
    while (pictures.size > maxPictures) pictures.delete(pictures.keys().next().value ?? '');
  }

  forget(cameraId: string): void {
    const view = this.#cameras.get(cameraId);
    if (view?.waiting.size === 0) this.#cameras.delete(cameraId);
  }

  status(cameraId: string): CameraStatus | undefined {
    return this.#cameras.get(cameraId)?.status;
  }

  figures(cameraId: string): CameraFigures | undefined {
    const view = this.#cameras.get(cameraId);
    if (view === undefined) return undefined;
    forgetOld(view, this.#nowMs());
    const rate = (of: 'received' | 'analysed'): number =>
      Math.round(view.recent.reduce((sum, one) => sum + one[of], 0) / (rateWindowMs / 10_000)) / 10;
    const newest = view.history.at(-1)?.header.capture_time ?? null;
    return {
      received_fps: rate('received'),
      analysed_fps: rate('analysed'),
      newest_capture_time: newest,
      ...view.totals,
    };
  }

  /** Frames that were analysed, of all cameras. */
  analysedFrames(): number {
    return [...this.#cameras.values()].reduce((sum, { totals }) => sum + totals.frames_analysed, 0);
  }

  history(cameraId: string, limit: number): readonly DetectionFrame[] {
    return this.#cameras.get(cameraId)?.history.slice(-limit) ?? [];
  }

  onResult(listener: (record: DetectionFrame) => void): Subscription {
    this.#resultListeners.add(listener);
    return { close: () => void this.#resultListeners.delete(listener) };
  }

  onStatus(listener: (status: CameraStatus) => void): Subscription {
    this.#statusListeners.add(listener);
    return { close: () => void this.#statusListeners.delete(listener) };
  }

  nextPicture(cameraId: string, signal: AbortSignal): Promise<LivePicture | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    const { waiting } = this.#view(cameraId);
    return new Promise((resolve) => {
      const give = (picture: LivePicture | undefined): void => {
        waiting.delete(give);
        signal.removeEventListener('abort', stop);
        resolve(picture);
      };
      const stop = (): void => give(undefined);
      waiting.add(give);
      this.onWanted?.();
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  #view(cameraId: string): CameraView {
    let view = this.#cameras.get(cameraId);
    if (view === undefined) {
      const totals = {
        ...{ frames_received: 0, frames_analysed: 0, frames_filtered: 0, frames_dropped: 0, frames_expired: 0 },
        ...{ frames_failed: 0, drops_by_reason: {}, decode_errors: 0 },
      };
      view = { status: undefined, history: [], totals, recent: [], pictures: new Map(), waiting: new Set() };
      this.#cameras.set(cameraId, view);
    }
    return view;
  }
}

/** One for all: what is made of it for the first is there for the others. */
function give({ waiting }: CameraView, picture: LivePicture): void {
  const takers = [...waiting];
  waiting.clear();
  for (const take of takers) take(picture);
}

function count(view: CameraView, { accounting, decision }: DetectionFrame, nowMs: number): void {
  const { totals } = view;
  totals.frames_received += accounting.frames_received;
  totals.frames_analysed += accounting.frames_analysed;
  totals.frames_filtered += accounting.frames_filtered;
  totals.frames_dropped += accounting.frames_dropped_ingest;
  totals.frames_expired += accounting.frames_dropped_deadline;
  totals.frames_failed += accounting.frames_failed;
  totals.decode_errors += accounting.decode_errors;
  const drops = { ...totals.drops_by_reason };
  for (const [reason, dropped] of Object.entries(accounting.drops_by_reason))
    drops[reason] = (drops[reason] ?? 0) + dropped;
  totals.drops_by_reason = drops;
  view.recent.push({ atMs: nowMs, received: accounting.frames_received, analysed: decision === 'ANALYSED' ? 1 : 0 });
  forgetOld(view, nowMs);
}

/** Embeddings are for programs that read the topic or the files: in here they would be most of the memory, and of what is sent to pages. */
function withoutVectors(record: DetectionFrame): DetectionFrame {
  if (record.objects.every(({ embedding }) => embedding === null)) return record;
  return { ...record, objects: record.objects.map((object) => ({ ...object, embedding: null })) };
}

function forgetOld({ recent }: CameraView, nowMs: number): void {
  const firstKept = recent.findIndex(({ atMs }) => atMs > nowMs - rateWindowMs);
  recent.splice(0, firstKept === -1 ? recent.length : firstKept);
}
