export const controlDefaults = {
  /** By token. A page with sixteen tiles asks a few times a second; a loop that went wild is stopped. */
  requestsPerMinute: 3_000,
  /** Head and body of a request; a probe's answer is not counted in. */
  requestTimeoutMs: 30_000,
} as const;
