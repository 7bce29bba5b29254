/** What ingest needs to know; the command line fills it from its settings. */
export interface IngestConfig {
  /** Frames of one camera that wait for whoever takes them. More would only make live results later. */
  readonly queueCapacity: number;
  /** The same for a file that waits, where age does not matter: many, so that ffmpeg works in bursts and its caches stay warm. */
  readonly fileQueueCapacity: number;
  readonly reconnect: {
    readonly firstDelayMs: number;
    readonly longestDelayMs: number;
    readonly stableAfterMs: number;
  };
  /** How long close() waits for a frame that is being taken over. */
  readonly closeTimeoutMs: number;
}

export const ingestDefaults: IngestConfig = {
  queueCapacity: 4,
  fileQueueCapacity: 32,
  reconnect: { firstDelayMs: 1_000, longestDelayMs: 60_000, stableAfterMs: 30_000 },
  closeTimeoutMs: 5_000,
};
