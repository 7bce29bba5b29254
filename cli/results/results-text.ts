import type { CameraSummary, Percentiles, RunSummary } from '../../services/results/core/run-summary.ts';
import type { CameraVerdict, VerifyReport } from '../../services/results/core/verify.ts';
import type { ResultsInput } from './results-input.ts';
import { textTable, type Column } from './text-table.ts';

/** What `results verify` prints for people. */
export function verifyText(report: VerifyReport, input: Pick<ResultsInput, 'kind' | 'names'>): string {
  const columns: Column<CameraVerdict>[] = [
    { title: 'camera', align: 'left', text: (camera) => camera.camera_id },
    { title: 'records', text: (camera) => String(camera.records) },
    { title: 'epochs', text: (camera) => String(camera.epochs) },
    { title: 'received', text: (camera) => String(camera.frames_received) },
    { title: 'analysed', text: (camera) => String(camera.frames_analysed) },
    { title: 'filtered', text: (camera) => String(camera.frames_filtered) },
    { title: 'dropped', text: (camera) => String(camera.frames_dropped) },
    { title: 'expired', text: (camera) => String(camera.frames_expired) },
    { title: 'failed', text: (camera) => String(camera.frames_failed) },
    { title: 'open', text: (camera) => String(camera.open_epochs) },
    { title: 'violations', text: (camera) => String(camera.violations) },
  ];
  const parts = [report.cameras.length === 0 ? 'no records\n' : textTable(columns, report.cameras)];
  for (const end of report.open_ends) {
    parts.push(`open end: ${end.file}: ${end.reason} (from byte ${end.at_byte}); everything before it was read\n`);
  }
  const openEpochs = report.cameras.reduce((sum, camera) => sum + camera.open_epochs, 0);
  if (openEpochs > 0) {
    parts.push(
      `open end: ${plural(openEpochs, 'epoch')} that no camera status closes; frames after the last record are not known\n`,
    );
  }
  if (report.repeats > 0) parts.push(`${plural(report.repeats, 'record')} came again and counted once\n`);
  if (report.shadows > 0) parts.push(`${plural(report.shadows, 'record')} of a model in shadow beside them\n`);
  for (const { rule, file, camera_id, epoch, frame_seq, text } of report.violations) {
    const where = [
      camera_id,
      epoch === null ? null : `epoch ${epoch}`,
      frame_seq === null ? null : `frame ${frame_seq}`,
    ];
    const place = [file, ...where].filter((part) => part !== null && part !== '').join(', ');
    parts.push(`${rule}: ${place}: ${text}\n`);
  }
  const unlisted = report.violation_count - report.violations.length;
  if (unlisted > 0) parts.push(`and ${unlisted} more\n`);
  parts.push(
    report.holds
      ? `accounting holds: ${plural(report.frames_received, 'frame')} in ${plural(report.records, 'record')} of ${plural(report.cameras.length, 'camera')}, ${plural(input.names.length, input.kind === 'files' ? 'file' : 'topic')}\n`
      : `accounting does not hold: ${plural(report.violation_count, 'violation')}\n`,
  );
  return parts.join('\n').replaceAll('\n\n', '\n');
}

/** What `results stats` prints for people. */
export function statsText({ cameras }: RunSummary): string {
  if (cameras.length === 0) return 'no records\n';
  const frames: Column<CameraSummary>[] = [
    { title: 'camera', align: 'left', text: (camera) => camera.camera_id },
    { title: 'received', text: (camera) => String(camera.frames_received) },
    { title: 'analysed', text: (camera) => String(camera.frames_analysed) },
    { title: 'filtered', text: (camera) => String(camera.frames_filtered) },
    { title: 'dropped', text: (camera) => String(camera.frames_dropped) },
    { title: 'expired', text: (camera) => String(camera.frames_expired) },
    { title: 'failed', text: (camera) => String(camera.frames_failed) },
    { title: 'objects', text: (camera) => String(camera.objects) },
    { title: 'fps', text: (camera) => numberText(camera.fps) },
    { title: 'first', align: 'left', text: (camera) => timeText(camera.first_capture_time) },
    { title: 'last', align: 'left', text: (camera) => timeText(camera.last_capture_time) },
  ];
  const times = cameras.flatMap((camera) =>
    Object.entries({ 'capture to result': camera.latency_ms, ...camera.timing_ms }).map(([stage, values]) => ({
      camera: camera.camera_id,
      stage,
      values,
    })),
  );
  const timing: Column<{ camera: string; stage: string; values: Percentiles }>[] = [
    { title: 'camera', align: 'left', text: (row) => row.camera },
    { title: 'time', align: 'left', text: (row) => row.stage },
    { title: 'p50 ms', text: (row) => numberText(row.values.p50) },
    { title: 'p95 ms', text: (row) => numberText(row.values.p95) },
    { title: 'p99 ms', text: (row) => numberText(row.values.p99) },
  ];
  const counts = cameras.flatMap((camera) => [
    ...Object.entries(camera.objects_by_class).map(([what, number]) => ({ camera: camera.camera_id, what, number })),
    ...Object.entries(camera.drops_by_reason).map(([reason, number]) => ({
      camera: camera.camera_id,
      what: `dropped: ${reason}`,
      number,
    })),
  ]);
  const classes: Column<(typeof counts)[number]>[] = [
    { title: 'camera', align: 'left', text: (row) => row.camera },
    { title: 'objects', align: 'left', text: (row) => row.what },
    { title: 'count', text: (row) => String(row.number) },
  ];
  return [
    textTable(frames, cameras),
    textTable(timing, times),
    ...(counts.length === 0 ? [] : [textTable(classes, counts)]),
  ].join('\n');
}

function numberText(value: number | null): string {
  return value === null ? '-' : value.toFixed(1);
}

function timeText(us: number): string {
  return new Date(us / 1000).toISOString();
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
