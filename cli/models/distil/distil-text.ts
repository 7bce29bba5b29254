import { textTable, type Column } from '../../results/text-table.ts';
import type { DistilOutcome } from './distil-model.ts';
import { leastObjects, type JudgedModel } from './judged-model.ts';

/** The table of before and after, and what became of it. */
export function outcomeText(outcome: DistilOutcome): string {
  const { frames, objects, rows, steps, stored, verdict } = outcome;
  const classes: Column<JudgedModel>[] = [...objects].map(([name, count]) => ({
    title: `${name} (${count})`,
    text: (row) => row.classes.get(name)?.ap50.toFixed(3) ?? '-',
  }));
  const few = [...objects].filter(([, count]) => count < leastObjects).map(([name]) => name);
  const columns: Column<JudgedModel>[] = [
    { title: '', align: 'left', text: (row) => row.role },
    { title: 'model', align: 'left', text: (row) => row.name },
    { title: 'input', align: 'left', text: (row) => row.input },
    ...classes,
    { title: 'AP50', text: (row) => row.ap50.toFixed(3) },
    { title: 'AP', text: (row) => row.ap.toFixed(3) },
    ...(outcome.also.heldOut === 0
      ? []
      : [{ title: 'elsewhere', text: (row: JudgedModel) => row.elsewhereAp50?.toFixed(3) ?? '-' }]),
    { title: 'agreement', text: (row) => row.agreement.toFixed(3) },
    { title: 'CPU ms', text: (row) => row.cpuMs.toFixed(2) },
    { title: 'RAM MiB', text: (row) => row.memoryMiB.toFixed(0) },
    { title: 'KiB', text: (row) => row.sizeKiB.toFixed(0) },
  ];
  return [
    `AP50 by class on ${frames.heldOut} held-out frames, against the teacher's boxes (how many in brackets); learned from ${frames.learned} others in ${steps} steps\n`,
    textTable(columns, rows),
    outcome.also.heldOut === 0
      ? ''
      : `elsewhere: AP50 on ${outcome.also.heldOut} held-out pictures of other places; learned from ${outcome.also.learned} others\n`,
    few.length === 0 ? '' : `fewer than ${leastObjects} objects, so not in the mean: ${few.join(', ')}\n`,
    verdict.isBetter && stored !== null
      ? `kept: ${stored.name} ${stored.version} in ${stored.manifestPath}\nrun it: sightline run --model ${stored.name}; beside the active one: sightline models shadow ${stored.name}@${stored.version}\n`
      : '',
  ].join('');
}

/** The same for programs. */
export function outcomeRecord(outcome: DistilOutcome): Readonly<Record<string, unknown>> {
  const { frames, objects, rows, steps, weights, stored, verdict } = outcome;
  return {
    frames: { learned: frames.learned, held_out: frames.heldOut, fps: frames.fps },
    also: { learned: outcome.also.learned, held_out: outcome.also.heldOut },
    objects: Object.fromEntries(objects),
    models: rows.map((row) => ({
      role: row.role,
      name: row.name,
      input: row.input,
      ap50: row.ap50,
      ap: row.ap,
      classes: Object.fromEntries(row.classes),
      elsewhere_ap50: row.elsewhereAp50,
      agreement: row.agreement,
      cpu_ms: row.cpuMs,
      memory_mib: row.memoryMiB,
      size_kib: row.sizeKiB,
    })),
    steps,
    weights,
    is_better: verdict.isBetter,
    reason: verdict.isBetter ? null : verdict.reason,
    kept: stored === null ? null : { name: stored.name, version: stored.version, manifest: stored.manifestPath },
  };
}
