import type { Clock } from '#shared/core/clock';
import { toAppError, type AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';

/** Codes that say that the record itself cannot be taken. */
const refusals: readonly string[] = [
  'SIGHTLINE_KAFKA_RECORD_TOO_LARGE',
  'SIGHTLINE_RESULTS_RECORD_INVALID',
  'SIGHTLINE_INTERNAL',
];
const firstPauseMs = 100;
const longestPauseMs = 1_000;

/**
 * The way out to a bus that may be away. A record whose outcome is unknown is sent again until it is there: dropped and counted as lost,
 * it might be on the topic all the same, and the count would be wrong. Readers leave out what comes twice.
 */
export class BusOutlet {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #trouble: AppError | undefined;

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What keeps the bus from taking records; undefined while it does. */
  get trouble(): AppError | undefined {
    return this.#trouble;
  }

  /** Resolves when the record is there. Rejects for a record that cannot be taken, and with the last failure once `signal` is aborted. */
  async send<T>(publish: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let pauseMs = firstPauseMs;
    for (;;) {
      try {
        const result = await publish();
        if (this.#trouble !== undefined) this.#logger.info({}, 'Kafka takes records again');
        this.#trouble = undefined;
        return result;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (refusals.includes(error.code) || signal.aborted) throw error;
        if (this.#trouble === undefined)
          this.#logger.warn({ code: error.code, reason: error.message }, 'Kafka does not take records, trying on');
        this.#trouble = error;
        await this.#clock.sleep(pauseMs, signal).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, longestPauseMs);
      }
    }
  }
}
