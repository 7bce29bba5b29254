import { textTable } from '../../results/text-table.ts';
import type { QuantiseOutcome } from './quantise-model.ts';

/** The table of before and after, and where the model is. */
export function quantisedText(outcome: QuantiseOutcome, kept: string | null): string {
  const { rows, convolutions, inFloat } = outcome;
  const [before, after] = rows;
  const table = textTable(
    [
      { title: '', align: 'left', text: (row) => row.role },
      { title: 'model', align: 'left', text: (row) => row.name },
      { title: 'AP50', text: (row) => row.ap50.toFixed(4) },
      { title: 'AP', text: (row) => row.ap.toFixed(4) },
      { title: 'CPU ms', text: (row) => row.cpuMs.toFixed(2) },
      { title: 'RAM MiB', text: (row) => row.memoryMiB.toFixed(0) },
      { title: 'KiB', text: (row) => row.sizeKiB.toFixed(0) },
    ],
    rows,
  );
  const facts = `${convolutions - inFloat} of ${convolutions} convolutions in int8; ${(after.cpuMs / before.cpuMs).toFixed(2)} of the CPU time; AP50 over ${before.classes.size} classes\n`;
  return `${table}${facts}${kept === null ? '' : `kept: ${kept}\nrun it: sightline run --model ${after.name}\n`}`;
}

/** The same for programs. */
export function quantisedRecord(outcome: QuantiseOutcome, kept: string | null): Readonly<Record<string, unknown>> {
  const { rows, convolutions, inFloat, tried, refusal } = outcome;
  return {
    models: rows.map((row) => ({
      ...{ role: row.role, name: row.name, ap50: row.ap50, ap: row.ap, classes: Object.fromEntries(row.classes) },
      ...{ cpu_ms: row.cpuMs, memory_mib: row.memoryMiB, size_kib: row.sizeKiB },
    })),
    convolutions,
    in_float: inFloat,
    tried: tried.map(({ inFloat: left, ap50 }) => ({ in_float: left, ap50 })),
    reason: refusal,
    kept,
  };
}
