import colours from 'picocolors';

// picocolors also colours what goes into a file or a pipe where CI is set.
const pc = process.stdout.isTTY ? colours : colours.createColors(false);

export interface StepShown {
  readonly step: string;
  readonly ok: boolean;
  readonly duration_ms: number;
  readonly detail: string;
}

/** What is told of a verdict, whether a probe here made it or the API sent it. */
export interface VerdictShown {
  readonly usable: boolean;
  readonly reason_code: string;
  readonly reason_text: string;
  readonly action: string | null;
  readonly advice: readonly string[];
  readonly keyframe_interval_ms: number | null;
  readonly clock_source: string;
  readonly transport: string | null;
  readonly is_encrypted: boolean;
}

export interface CostShown {
  readonly cost: { readonly cores: number; readonly fits: boolean } | null;
  readonly capacity: { readonly cores: number; readonly free_cores: number; readonly is_measured: boolean } | null;
}

export function stepText(step: StepShown): string {
  const mark = step.ok ? pc.green('ok  ') : pc.red('fail');
  return `  ${mark} ${step.step.padEnd(9)} ${`${step.duration_ms} ms`.padStart(8)}  ${step.detail}\n`;
}

export function verdictText(verdict: VerdictShown): string {
  if (!verdict.usable) {
    const head = `${pc.red('not usable')} (${verdict.reason_code}): ${verdict.reason_text}`;
    return `${head}\n  what to do: ${verdict.action ?? ''}\n`;
  }
  const interval = verdict.keyframe_interval_ms;
  const facts = [
    verdict.reason_text,
    interval === null ? 'key frame interval not seen' : `key frame every ${Math.round(interval) / 1000} s`,
    `clock ${verdict.clock_source}`,
    ...(verdict.transport === null ? [] : [`by ${verdict.transport}`]),
    ...(verdict.is_encrypted ? ['encrypted'] : []),
  ];
  const lines = [`${pc.green('usable')}: ${facts.join(', ')}`, ...verdict.advice.map((line) => `  advice: ${line}`)];
  return `${lines.join('\n')}\n`;
}

/** What it costs where it would run, and what is left there; empty where that is not known. */
export function costText({ cost, capacity }: CostShown): string {
  if (cost === null || capacity === null) return '';
  const basis = capacity.is_measured ? 'measured there' : 'expected';
  const room = cost.fits ? '' : pc.red(' (more than is left)');
  return `  takes ${cost.cores} of ${capacity.cores} processors (${basis}), ${capacity.free_cores} are free${room}\n`;
}
