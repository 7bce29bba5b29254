import pc from 'picocolors';
import type { CameraState } from '#schemas';

/** What one line of the live view shows. */
export interface LiveRow {
  readonly cameraId: string;
  readonly state: CameraState;
  /** Why the state is not ONLINE, in words; empty when there is nothing to say. */
  readonly reason: string;
  /** Frames a second that arrive, and results a second that leave. */
  readonly receivedFps: number;
  readonly analysedFps: number;
  /** Age of the newest result in milliseconds: from capture to now. Null before the first, and for files. */
  readonly ageMs: number | null;
  readonly droppedFrames: number;
  readonly filteredFrames: number;
  /** Objects in the newest result, by class. */
  readonly objects: Readonly<Record<string, number>>;
  /** Share of a file that has been read, 0..1; null for a camera. */
  readonly progress: number | null;
}

const barWidth = 20;

/** The live view as text: one line a camera, cut to the terminal's width. */
export function renderLiveView(rows: readonly LiveRow[], columns: number): string {
  const nameWidth = Math.min(24, Math.max(6, ...rows.map((row) => row.cameraId.length)));
  return rows.map((row) => renderRow(row, nameWidth, columns)).join('\n');
}

function renderRow(row: LiveRow, nameWidth: number, columns: number): string {
  const parts = [
    row.cameraId.padEnd(nameWidth).slice(0, nameWidth),
    row.state.padEnd(10),
    ...(row.progress === null ? [] : [renderBar(row.progress)]),
    `${row.receivedFps.toFixed(1)} fps in`,
    `${row.analysedFps.toFixed(1)} out`,
    ...(row.ageMs === null ? [] : [`${(row.ageMs / 1000).toFixed(2)} s old`]),
    ...(row.filteredFrames > 0 ? [`${row.filteredFrames} filtered`] : []),
    ...(row.droppedFrames > 0 ? [`${row.droppedFrames} dropped`] : []),
    describeObjects(row.objects),
    ...(row.reason === '' ? [] : [row.reason]),
  ];
  const text = parts.join('  ').slice(0, Math.max(20, columns - 1));
  // Colour last, and only on the state's own letters, so that cutting to the width cannot cut a colour code.
  return text.replace(row.state, colourOf(row.state)(row.state));
}

function renderBar(progress: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, progress)) * barWidth);
  return `[${'='.repeat(filled)}${' '.repeat(barWidth - filled)}] ${Math.floor(progress * 100)
    .toString()
    .padStart(3)} %`;
}

function describeObjects(objects: Readonly<Record<string, number>>): string {
  const entries = Object.entries(objects).sort(([, one], [, other]) => other - one);
  if (entries.length === 0) return 'no objects';
  return entries.map(([name, count]) => `${count} ${name}`).join(', ');
}

function colourOf(state: CameraState): (text: string) => string {
  if (state === 'ONLINE' || state === 'ENDED') return pc.green;
  if (state === 'OFFLINE' || state === 'REJECTED') return pc.red;
  return pc.yellow;
}
