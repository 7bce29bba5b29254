/** Writes docs/errors.md from the error catalogue: `npm run docs:errors`. A unit test fails while the two differ. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCatalogue } from '../services/shared/core/error-catalogue.ts';

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** @param {Record<string, { exitCode: number, summary: string, action: string }>} catalogue */
export function errorTable(catalogue) {
  const rows = Object.entries(catalogue)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, entry]) => `| \`${code}\` | ${entry.exitCode} | ${cell(entry.summary)} | ${cell(entry.action)} |`);
  return `# Errors

Every failure that Sightline foresees has a code. It stands in the message (\`error [CODE]: …\`), in the log field \`err.code\`, in
\`failure_code\` of a result record, and does not change between versions. Messages never hold a password.

Exit codes: 0 it worked · 1 the check that you asked for found something · 2 wrong use or setting · 3 the input cannot be used (camera, file,
model) · 4 something that Sightline needs is missing on this machine · 70 a fault of ours · 128 + n ended by signal n.

Made by \`npm run docs:errors\` from \`services/shared/core/error-catalogue.ts\`; edit it there.

| code | exit code | what happened | what to do |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../docs/errors.md', import.meta.url), errorTable(errorCatalogue));
}
