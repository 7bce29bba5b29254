import colours from 'picocolors';
import type { Schemas } from '../api/api-client.ts';
import { rate, reasonOf, stateOf } from '../camera/camera-text.ts';
import { textTable, type Column } from '../results/text-table.ts';

export interface StatusView {
  /** Null where the token does not see the whole. */
  readonly system: Schemas['System'] | null;
  readonly cameras: readonly Schemas['Camera'][];
}

export interface StatusSize {
  readonly nowMs: number;
  readonly columns: number;
  /** More lines than a terminal shows would only scroll. */
  readonly rows: number;
}

/** Those that want somebody's attention come first. */
const urgency = ['OFFLINE', 'REJECTED', 'DEGRADED', 'CONNECTING', 'UNKNOWN', 'ONLINE', 'ENDED', 'DISABLED'];

export function statusText({ system, cameras }: StatusView, { nowMs, columns, rows }: StatusSize): string {
  const head = system === null ? [] : [systemLine(system), loadLine(system)];
  const sorted = cameras.toSorted((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
  const shown = sorted.slice(0, Math.max(1, rows - head.length - 2));
  const lines = textTable(tableOf(nowMs), shown).split('\n').slice(0, -1);
  const [titles = '', ...body] = lines.map((line) => line.slice(0, columns));
  const coloured = body.map((line, index) => {
    const camera = shown[index];
    return camera === undefined ? line : colour(line, stateOf(camera));
  });
  const rest = cameras.length > shown.length ? [`… and ${cameras.length - shown.length} more`] : [];
  const table =
    cameras.length === 0
      ? ['no cameras; add one: sightline camera add front=rtsp://…']
      : [titles, ...coloured, ...rest];
  return [...head.map((line) => line.slice(0, columns)), ...table].map((line) => `${line}\n`).join('');
}

function systemLine({ version, mode, model, results, services }: Schemas['System']): string {
  const troubled = services
    .filter(({ ready }) => !ready)
    .map(({ name, reason }) => `${name}: ${reason ?? 'not ready'}`);
  const facts = [
    `Sightline ${version}, ${mode}`,
    ...(model === null ? [] : [`model ${model.name} ${model.version}`]),
    `results to ${results}`,
    ...(troubled.length === 0 ? [] : [`not ready: ${troubled.join('; ')}`]),
  ];
  return facts.join(' · ');
}

function loadLine({ cameras, capacity, result_clients: clients }: Schemas['System']): string {
  const states = Object.entries(cameras.by_state).map(([state, count]) => `${count} ${state.toLowerCase()}`);
  const off = cameras.total - cameras.enabled;
  const facts = [
    `${cameras.total} cameras${states.length === 0 && off === 0 ? '' : `: ${[...states, ...(off === 0 ? [] : [`${off} off`])].join(', ')}`}`,
    ...(capacity === null
      ? []
      : [
          `${capacity.planned_cores} of ${capacity.cores} processors planned, ${capacity.free_cores} free (${capacity.cpu_ms_per_frame} ms a frame, ${capacity.is_measured ? 'measured' : 'expected'})`,
        ]),
    ...(clients === 0 ? [] : [`${clients} listen`]),
  ];
  return facts.join(' · ');
}

function tableOf(nowMs: number): readonly Column<Schemas['Camera']>[] {
  return [
    { title: 'camera', align: 'left', text: ({ id }) => id },
    { title: 'state', align: 'left', text: stateOf },
    { title: 'in fps', text: ({ figures }) => rate(figures?.received_fps) },
    { title: 'out fps', text: ({ figures }) => rate(figures?.analysed_fps) },
    { title: 'age', text: (camera) => ageText(camera, nowMs) },
    { title: 'reason', align: 'left', text: reasonOf },
  ];
}

/** How old the newest picture with a result is. That of a file says when it was recorded, and nothing about us. */
function ageText(camera: Schemas['Camera'], nowMs: number): string {
  const { status, figures } = camera;
  const capturedUs = figures?.newest_capture_time ?? null;
  if (capturedUs === null || status === null || status.clock_source === 'CONTAINER') return '-';
  const seconds = Math.max(0, nowMs - capturedUs / 1000) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function rank(camera: Schemas['Camera']): number {
  const index = urgency.indexOf(stateOf(camera));
  return index < 0 ? urgency.length : index;
}

function colour(line: string, state: string): string {
  const pc = process.stdout.isTTY ? colours : colours.createColors(false);
  const paint = state === 'ONLINE' ? pc.green : state === 'OFFLINE' || state === 'REJECTED' ? pc.red : pc.yellow;
  return line.replace(state, paint(state));
}
