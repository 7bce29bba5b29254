import type { Schemas } from '../api/api-client.ts';
import { textTable, type Column } from '../results/text-table.ts';

type Camera = Schemas['Camera'];

/** How a camera stands: one that is off has no state of its own. */
export function stateOf({ enabled, status }: Camera): string {
  return enabled ? (status?.state ?? 'UNKNOWN') : 'DISABLED';
}

/** Why it is in its state; empty where the state says it all. */
export function reasonOf({ enabled, status }: Camera): string {
  return enabled && status !== null && status.state !== 'ONLINE' ? status.reason_text : '';
}

const columns: readonly Column<Camera>[] = [
  { title: 'camera', align: 'left', text: ({ id }) => id },
  { title: 'state', align: 'left', text: stateOf },
  { title: 'fps', text: ({ fps }) => String(fps) },
  { title: 'in', text: ({ figures }) => rate(figures?.received_fps) },
  { title: 'out', text: ({ figures }) => rate(figures?.analysed_fps) },
  { title: 'url', align: 'left', text: ({ url }) => url },
  { title: 'reason', align: 'left', text: reasonOf },
];

export function cameraTable(cameras: readonly Camera[]): string {
  return textTable(columns, cameras);
}

export function rate(fps: number | undefined): string {
  return fps === undefined ? '-' : fps.toFixed(1);
}

/** Everything of one camera, a line for each fact. */
export function cameraText(camera: Camera, accounting: Schemas['Accounting']): string {
  const { status, geometry, tags, crop } = camera;
  const facts: readonly (readonly [name: string, value: string])[] = [
    ['url', `${camera.url}${camera.has_credentials ? ' (with credentials)' : ''}`],
    ['state', [stateOf(camera), reasonOf(camera)].filter((text) => text !== '').join(': ')],
    ...(status?.codec == null ? [] : [['stream', streamText(status)] as const]),
    ['sampled', `${camera.fps} fps, filter ${camera.filter}, priority ${camera.priority}`],
    [
      'transport',
      `${camera.transport}${camera.tls_insecure ? ', certificate not verified' : ''}${camera.allow_http ? ', http allowed' : ''}`,
    ],
    [
      'limits',
      `given up after ${camera.stall_timeout_s} s without a frame; frames older than ${camera.max_age_s} s are not analysed`,
    ],
    ...(crop === null ? [] : [['crop', `${crop.x}, ${crop.y}, ${crop.width} x ${crop.height}`] as const]),
    ['shapes', `${geometry.zones.length} zones, ${geometry.lines.length} lines, ${geometry.masks.length} masks`],
    [
      'tags',
      Object.entries(tags)
        .map(([name, value]) => `${name}=${value}`)
        .join(', ') || '-',
    ],
    ['frames', framesText(accounting)],
    ['now', `${rate(accounting.received_fps)} fps in, ${rate(accounting.analysed_fps)} out`],
    ['origin', camera.origin === 'file' ? 'settings of the run' : `registered ${camera.created_at}`],
    ['version', `${camera.version}, of ${camera.updated_at}`],
  ];
  return `${camera.id}\n${facts.map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`).join('')}`;
}

function streamText({
  codec,
  width_px: width,
  height_px: height,
  declared_fps: fps,
  clock_source: clock,
}: NonNullable<Camera['status']>): string {
  const size = width === null || height === null ? '' : ` ${width}x${height}`;
  return `${codec ?? ''}${size}${fps === null ? '' : ` at ${Number(fps.toFixed(2))} fps`}, clock ${clock}`;
}

function framesText(accounting: Schemas['Accounting']): string {
  const counts = [
    ['received', accounting.frames_received],
    ['analysed', accounting.frames_analysed],
    ['filtered', accounting.frames_filtered],
    ['dropped', accounting.frames_dropped],
    ['expired', accounting.frames_expired],
    ['failed', accounting.frames_failed],
  ] as const;
  const reasons = Object.entries(accounting.drops_by_reason).map(([reason, count]) => `${reason} ${count}`);
  const text = counts.map(([name, count]) => `${count} ${name}`).join(', ');
  return reasons.length === 0 ? text : `${text} (${reasons.join(', ')})`;
}
