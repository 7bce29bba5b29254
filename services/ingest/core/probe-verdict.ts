import type { CaptureTimeSource, ReasonCode } from '#schemas';

/** What a probe does, in order. `tls` only for encrypted cameras, `file` only for files. */
export type ProbeStepName = 'url' | 'file' | 'dns' | 'tcp' | 'tls' | 'auth' | 'describe' | 'setup' | 'stream';

export interface ProbeStep {
  readonly step: ProbeStepName;
  readonly ok: boolean;
  readonly duration_ms: number;
  /** In words, without a secret. */
  readonly detail: string;
}

/** What the video turned out to be. Null: not found out. */
export interface ProbeFindings {
  readonly codec: string | null;
  readonly width_px: number | null;
  readonly height_px: number | null;
  readonly declared_fps: number | null;
  readonly measured_fps: number | null;
  /** Null also when the probe did not last until a second key frame. */
  readonly keyframe_interval_ms: number | null;
  readonly clock_source: CaptureTimeSource;
  readonly clock_offset_ms: number | null;
  readonly transport: 'tcp' | 'udp' | 'http' | 'file' | null;
  readonly is_encrypted: boolean;
  readonly auth_scheme: 'none' | 'basic' | 'digest' | null;
  readonly server_name: string | null;
  readonly packet_loss_ratio: number | null;
}

/** The answer to "can this camera be used, and if not, why not". Names as in CameraStatus; printed as it is by `--json`. */
export interface ProbeVerdict extends ProbeFindings {
  readonly usable: boolean;
  /** NONE when usable. */
  readonly reason_code: ReasonCode;
  readonly reason_text: string;
  /** What to do about it; null when usable. */
  readonly action: string | null;
  /** Things that work and could be better. */
  readonly advice: readonly string[];
  /** The URL without credentials, or the path. */
  readonly target: string;
  readonly steps: readonly ProbeStep[];
  readonly duration_ms: number;
}

export interface ProbeOutcome {
  readonly target: string;
  readonly steps: readonly ProbeStep[];
  readonly findings: Partial<ProbeFindings>;
  readonly failure: { readonly reason: ReasonCode; readonly text: string; readonly action: string } | null;
  readonly durationMs: number;
}

/** A live decoder shows nothing until the next key frame: this long after each reconnect. */
const longKeyframeIntervalMs = 5_000;
const largeClockOffsetMs = 2_000;

export function buildProbeVerdict(outcome: ProbeOutcome): ProbeVerdict {
  const findings: ProbeFindings = {
    codec: null,
    width_px: null,
    height_px: null,
    declared_fps: null,
    measured_fps: null,
    keyframe_interval_ms: null,
    clock_source: 'UNKNOWN',
    clock_offset_ms: null,
    transport: null,
    is_encrypted: false,
    auth_scheme: null,
    server_name: null,
    packet_loss_ratio: null,
    ...outcome.findings,
  };
  return {
    usable: outcome.failure === null,
    reason_code: outcome.failure?.reason ?? 'NONE',
    reason_text: outcome.failure?.text ?? describeVideo(findings),
    action: outcome.failure?.action ?? null,
    advice: outcome.failure === null ? adviceFor(findings) : [],
    target: outcome.target,
    ...findings,
    steps: outcome.steps,
    duration_ms: Math.round(outcome.durationMs),
  };
}

/** The step at which a failure with this reason happened, given those that succeeded before it. */
export function failedStep(reason: ReasonCode, done: readonly ProbeStepName[], isEncrypted: boolean): ProbeStepName {
  if (reason === 'DNS') return 'dns';
  if (reason === 'TLS') return 'tls';
  if (reason === 'AUTH') return 'auth';
  const order: readonly ProbeStepName[] = [
    'dns',
    'tcp',
    ...(isEncrypted ? (['tls'] as const) : []),
    'describe',
    'setup',
  ];
  return order.find((step) => !done.includes(step)) ?? 'stream';
}

function describeVideo(findings: ProbeFindings): string {
  const size = findings.width_px === null ? '' : ` ${findings.width_px}x${findings.height_px ?? 0}`;
  const fps = findings.measured_fps ?? findings.declared_fps;
  return `${findings.codec ?? 'video'}${size}${fps === null ? '' : ` at ${round(fps)} frames a second`}`;
}

function adviceFor(findings: ProbeFindings): string[] {
  const advice: string[] = [];
  const { keyframe_interval_ms: intervalMs, clock_offset_ms: offsetMs, packet_loss_ratio: lossRatio } = findings;
  if (intervalMs !== null && intervalMs > longKeyframeIntervalMs) {
    advice.push(
      `A key frame comes every ${round(intervalMs / 1000)} s only: the first picture after a reconnect takes as long. Set the key frame (I-frame) interval of the camera to 1 or 2 s.`,
    );
  }
  if (offsetMs !== null && Math.abs(offsetMs) > largeClockOffsetMs) {
    advice.push(`The clock of the camera is ${round(offsetMs / 1000)} s off ours. Switch NTP on at the camera.`);
  }
  if (lossRatio !== null && lossRatio > 0.001) {
    advice.push(`${round(lossRatio * 100)} % of the packets were lost. Use the transport tcp, or mend the network.`);
  }
  if (findings.auth_scheme === 'basic' && !findings.is_encrypted) {
    advice.push('The password goes over the network in clear (Basic). Switch the camera to Digest, or use rtsps.');
  }
  return advice;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
