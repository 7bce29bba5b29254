import { AppError } from '#shared/core/errors';
import { runReportingTool, type pythonPackages, type PythonSource } from './python-tool.ts';

export interface ConvertRequest {
  readonly from: string;
  readonly to: string;
  readonly packages: (typeof pythonPackages)[keyof typeof pythonPackages];
  /** Options of models/tools/convert.py by their names; `true` for one without a value. */
  readonly flags: Readonly<Record<string, string>>;
  readonly pictures: readonly string[];
  readonly python: PythonSource;
  /** What was found, line by line, for people. */
  readonly onLine: (text: string) => void;
}

/** As the tool says it, and as `--json` prints it. */
export interface ConvertOutcome {
  readonly written: string | null;
  readonly refused: string | null;
  readonly code: 'SIGHTLINE_CONVERSION_REFUSED' | 'SIGHTLINE_CONVERSION_UNCHECKED' | null;
  /** False where the result cannot be run on this machine. */
  readonly compared: boolean;
}

/** Has models/tools/convert.py convert and compare. */
export async function convertModel(request: ConvertRequest): Promise<ConvertOutcome> {
  const { from, to, packages, flags, pictures, python, onLine } = request;
  const args = [
    ...[from, to],
    ...Object.entries(flags).flatMap(([name, value]) => (value === 'true' ? [`--${name}`] : [`--${name}=${value}`])),
    ...pictures.map((file) => `--picture=${file}`),
  ];
  let outcome: ConvertOutcome | undefined;
  const exitCode = await runReportingTool(python, packages, 'convert', args, (said) => {
    const report = said as Report; // our own tool of the same version wrote it
    if (report.kind === 'said') onLine(report.text);
    if (report.kind !== 'done') return;
    const { kind: _kind, ...rest } = report;
    outcome = rest;
  });
  if (outcome !== undefined && exitCode === 0) return outcome;
  throw new AppError('SIGHTLINE_PYTHON_TOOL_FAILED', `the conversion ended with exit code ${exitCode}`);
}

type Report = { readonly kind: 'said'; readonly text: string } | ({ readonly kind: 'done' } & ConvertOutcome);
