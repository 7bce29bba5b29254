import { hash } from 'node:crypto';
import type { CameraShare, ModelRef, RolloutState } from './rollout-state.ts';

/** The models that a frame of a camera goes to. */
export interface CameraModels {
  /** Its result is the camera's. */
  readonly primary: ModelRef;
  /** Its result stands beside, with the role SHADOW. */
  readonly shadow: ModelRef | null;
}

const hashValues = 2 ** 32;

/**
 * Whether a camera is in a share. By the hash of its id: the same everywhere and at every time, and a larger share holds all cameras of a
 * smaller one.
 */
export function isInShare(cameraId: string, { share, cameras }: CameraShare): boolean {
  if (cameras !== null) return cameras.includes(cameraId);
  return Number.parseInt(hash('sha256', cameraId, 'hex').slice(0, 8), 16) < share * hashValues;
}

/** Null before a model is active. */
export function modelsFor(state: RolloutState, cameraId: string): CameraModels | null {
  const { active, candidate } = state;
  if (active === null) return null;
  if (candidate === null || !isInShare(cameraId, candidate)) return { primary: active, shadow: null };
  if (candidate.mode === 'shadow') return { primary: active, shadow: candidate.model };
  // The active model looks on, so that the gate knows what it would have said; that costs a second run on these cameras.
  return { primary: candidate.model, shadow: candidate.gate.minAgreement > 0 ? active : null };
}
