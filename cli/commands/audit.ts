import { InvalidArgumentError, type Command } from 'commander';
import type { ApiFlags } from '../api/api-address.ts';
import { withApi, type JsonFlag } from '../api/api-options.ts';
import { wholeNumber } from '../option-values.ts';

/** `sightline audit tail|verify|export`. */
export function registerAuditCommands(program: Command): void {
  const audit = program.command('audit').description('who did what; for administrators');

  withApi(audit.command('tail'))
    .description('print the newest entries, oldest of them first')
    .option('-n, --lines <n>', 'how many', wholeNumber, 20)
    .option('-f, --follow', 'then print what comes, until it is interrupted')
    .option('--json', 'print JSON lines')
    .action(async (flags: ApiFlags & JsonFlag & { readonly lines: number; readonly follow?: true }) => {
      await (await import('../audit/audit-actions.ts')).tailAudit(flags);
    });

  withApi(audit.command('verify'))
    .description('check that no entry was changed or taken out; exit code 1 where one was')
    .option('--expected-hash <hash>', 'a hash that was noted before: shows also whether the end was cut off', hash)
    .option('--file <file>', 'check what `audit export` wrote, without the API')
    .option('--json', 'print the verdict as JSON')
    .action(async (flags: ApiFlags & JsonFlag & { readonly expectedHash?: string; readonly file?: string }) => {
      await (await import('../audit/audit-actions.ts')).verifyAudit(flags);
    });

  withApi(audit.command('export'))
    .description('print all entries as JSON lines, oldest first')
    .action(async (flags: ApiFlags) => {
      await (await import('../audit/audit-actions.ts')).exportAudit(flags);
    });
}

function hash(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new InvalidArgumentError('A hash has 64 digits 0-9, a-f.');
  return text;
}
