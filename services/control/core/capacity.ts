/** What a frame costs and how many processors there are for it. */
export interface LoadFigures {
  readonly cores: number;
  /** CPU time of one analysed frame, decoding included. */
  readonly cpuMsPerFrame: number;
  /** False while too few frames have been seen and the figure is the one we expect. */
  readonly isMeasured: boolean;
}

export interface Capacity {
  readonly cores: number;
  readonly cpu_ms_per_frame: number;
  readonly is_measured: boolean;
  /** Processors that the cameras which are on are expected to use. */
  readonly planned_cores: number;
  /** Processors that are left for more cameras; not below 0. */
  readonly free_cores: number;
}

export interface CostEstimate {
  readonly cores: number;
  readonly fits: boolean;
}

/** YOLOX-nano and its decoding on one thread of the machines that we measured (docs/performance.md); until there are figures of this one. */
export const expectedCpuMsPerFrame = 30;
/** Above this share of the processors, frames start to wait for each other. */
const usableShare = 0.9;

export function planCapacity(load: LoadFigures, fpsOfCameras: readonly number[]): Capacity {
  const planned = coresFor(
    load,
    fpsOfCameras.reduce((sum, fps) => sum + fps, 0),
  );
  return {
    cores: load.cores,
    cpu_ms_per_frame: round(load.cpuMsPerFrame),
    is_measured: load.isMeasured,
    planned_cores: round(planned),
    free_cores: round(Math.max(0, load.cores * usableShare - planned)),
  };
}

export function estimateCost(load: LoadFigures, capacity: Capacity, fps: number): CostEstimate {
  const cores = round(coresFor(load, fps));
  return { cores, fits: cores <= capacity.free_cores };
}

function coresFor(load: LoadFigures, fps: number): number {
  return (fps * load.cpuMsPerFrame) / 1000;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
