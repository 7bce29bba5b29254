/** Hands out epochs: one per connection to a camera, increasing, never twice, also when this process or machine starts anew. */
export interface EpochStore {
  /** At least 1 and greater than every epoch of this camera before. */
  next(cameraId: string): Promise<number>;
  /** May be called twice. */
  close(): Promise<void>;
}
