export type ServiceState = 'created' | 'starting' | 'running' | 'draining' | 'stopped' | 'failed';

/** What a service says of itself on /readyz: `ready` false means "do not send work here", with the reason in words. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
}

/** A part of the product that is started, drained and closed by `runService` and by nobody else. */
export interface Service {
  readonly name: string;
  /** Resolves when the service does its work. */
  start(): Promise<void>;
  /** Resolves or rejects when the service ends by itself (a file was read to its end); never settles for one that runs until told. */
  readonly finished: Promise<void>;
  /** Stops taking new work and resolves when what was taken is done. */
  drain(): Promise<void>;
  /** Releases everything, in reverse order of making. May be called twice and without drain(); gives the same promise. */
  close(): Promise<void>;
  readiness(): Readiness;
}
