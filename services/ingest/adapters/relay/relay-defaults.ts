/** Milliseconds; what they are for is said at `RelayOptions`. */
export const relayDefaults = {
  connectTimeoutMs: 3_000,
  requestTimeoutMs: 5_000,
  silenceTimeoutMs: 10_000,
  consumerTimeoutMs: 15_000,
} as const;
