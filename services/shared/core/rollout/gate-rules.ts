/** What a candidate has to keep to. */
export interface GateRules {
  /** Frames of the candidate before it can pass. */
  readonly minFrames: number;
  /** Objects that either model saw before agreement counts; fewer say nothing. */
  readonly minObjects: number;
  /** Most failed frames, of those that it was given. */
  readonly maxErrorRate: number;
  /** Most time that a frame takes in it at the 95th percentile, as a multiple of the active model's. */
  readonly maxLatencyRatio: number;
  /** Least agreement with the active model, 0..1, over all classes; 0 asks for none. */
  readonly minAgreement: number;
  /** Most frames dropped or expired on its cameras above those of the others, as a share of those received. */
  readonly maxDropIncrease: number;
}

/**
 * A candidate that fails one frame in a hundred, takes half as long again or sees something else in a quarter of the cases is not the same
 * model done better; whoever wants just that says so.
 */
export const defaultGate: GateRules = {
  minFrames: 200,
  minObjects: 50,
  maxErrorRate: 0.01,
  maxLatencyRatio: 1.5,
  minAgreement: 0.75,
  maxDropIncrease: 0.02,
};
