/** Instructions that make a model faster, best last. */
const features = [
  { flag: 'avx2', name: 'AVX2' },
  { flag: 'avx512f', name: 'AVX-512' },
  { flag: 'avx512_vnni', name: 'VNNI' },
  { flag: 'avx_vnni', name: 'AVX-VNNI' },
  { flag: 'amx_int8', name: 'AMX' },
  { flag: 'asimd', name: 'NEON' },
  { flag: 'asimddp', name: 'dot product' },
] as const;

/** Names what a machine has of them, from the text of /proc/cpuinfo. */
export function cpuFeatures(cpuinfo: string): string[] {
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  return features.filter(({ flag }) => flags.has(flag)).map(({ name }) => name);
}

/** Processors that a cgroup allows, from its `cpu.max`; undefined where it sets no limit. */
export function cgroupProcessors(cpuMax: string): number | undefined {
  const [quota, period] = cpuMax.trim().split(/\s+/);
  if (quota === undefined || quota === 'max') return undefined;
  const processors = Number(quota) / Number(period);
  return Number.isFinite(processors) && processors > 0 ? processors : undefined;
}
