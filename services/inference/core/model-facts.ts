import type { ModelFamily } from './model.ts';

/** An input or output: its shape as the file declares it (names for sizes that are open), or as a run had it. */
export interface TensorFacts {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
  /** Of an output that a run gave: whether its numbers are shares of 1, or a direction in space. */
  readonly sums?: 'to-one' | 'unit-length';
}

export interface ModelFacts {
  readonly fileName: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly TensorFacts[];
  readonly outputs: readonly TensorFacts[];
}

export interface GuessHints {
  readonly family?: ModelFamily;
  readonly labels?: readonly string[];
}
