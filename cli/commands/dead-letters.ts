import type { Command } from 'commander';
import type { DeadLetter } from '#shared/core/dead-letter';
import { AppError } from '#shared/core/errors';
import { withDeadLetters, type DeadLettersAddress } from '../dead-letters/dead-letters-topic.ts';
import {
  chooseLetters,
  mostLettersListed,
  mostLettersReplayed,
  replayLetters,
  wants,
  wantsToReplay,
} from '../dead-letters/replay.ts';
import { textTable, type Column } from '../results/text-table.ts';
import { parseMoment } from '../results/time-range.ts';

interface ListFlags extends DeadLettersAddress {
  readonly since?: number;
  readonly key?: string;
  readonly reason?: readonly string[];
  readonly json?: true;
}

interface ReplayFlags extends ListFlags {
  readonly all?: true;
  readonly again?: true;
  readonly yes?: true;
}

/** `sightline dead-letters list|replay`: records that a service could not read. */
export function registerDeadLetterCommands(program: Command): void {
  const letters = program
    .command('dead-letters')
    .description(
      'records that a service could not read: what they were, why, and writing them back once that is mended',
    );
  common(letters.command('list').description('list them, oldest first')).action(list);
  common(
    letters
      .command('replay')
      .description('write records back to the topic that they came from, as they were')
      .argument('[position...]', 'TOPIC/PARTITION/OFFSET as `list` and the logs show it'),
  )
    .option('--all', 'all that --since, --key and --reason leave; says what it would do until --yes stands with it')
    .option('--yes', 'with --all: do it')
    .option('--again', 'also those that were written back before')
    .action(replay);
}

async function list(flags: ListFlags): Promise<void> {
  await withDeadLetters(flags, async (topic) => {
    const keeps = wants(filterOf(flags));
    const found = await topic.list(rangeOf(flags), { keeps, most: mostLettersListed, whenFull: 'keep-newest' });
    const shown = found.letters();
    if (flags.json === true) {
      print(`${JSON.stringify(shown, undefined, 2)}\n`);
      return;
    }
    print(shown.length === 0 ? `no dead letters on ${topic.name}\n` : textTable(columns, shown));
    if (found.leftOut > 0) print(`${found.leftOut} older ones are not shown\n`);
    if (found.foreign > 0) print(`${found.foreign} records on ${topic.name} are no dead letters of Sightline\n`);
  });
}

async function replay(positions: readonly string[], flags: ReplayFlags): Promise<void> {
  await withDeadLetters(flags, async (topic) => {
    const { all, again, yes } = { all: flags.all === true, again: flags.again === true, yes: flags.yes === true };
    const request = { ...filterOf(flags), positions, all, again };
    const keeps = wantsToReplay(request);
    const found = await topic.list(rangeOf(flags), { keeps, most: mostLettersReplayed, whenFull: 'keep-oldest' });
    const chosen = chooseLetters(found.letters(), request);
    const elsewhere = chosen.find((letter) => !topic.mayWrite(letter.topic));
    if (elsewhere !== undefined)
      throw new AppError('SIGHTLINE_USAGE', `${elsewhere.position} is of no topic of this installation`);
    const isDone = !all || yes;
    const count = isDone ? await replayLetters(chosen, topic.records(rangeOf(flags)), topic) : 0;
    if (flags.json === true) {
      print(`${JSON.stringify({ chosen: chosen.length, replayed: count, left_out: found.leftOut })}\n`);
      return;
    }
    if (isDone) {
      const rest = found.leftOut > 0 ? `; ${found.leftOut} more wait: do it again` : '';
      print(`${count} written back${rest}\n`);
      return;
    }
    print(chosen.length === 0 ? 'nothing to write back\n' : textTable(columns, chosen));
    if (chosen.length > 0) print(`${chosen.length} would be written back; do it with --yes\n`);
  });
}

const columns: readonly Column<DeadLetter>[] = [
  { title: 'position', align: 'left', text: ({ position }) => position },
  { title: 'key', align: 'left', text: ({ key, blocked }) => (blocked === null ? printable(key) : '-') },
  { title: 'failed at', align: 'left', text: ({ failedAtMs }) => new Date(failedAtMs).toISOString() },
  { title: 'bytes', text: ({ valueBytes }) => String(valueBytes) },
  {
    title: 'written back',
    align: 'left',
    text: ({ replays, replayedAtMs }) =>
      replayedAtMs === null ? (replays === 0 ? 'no' : `no, ${replays} before`) : new Date(replayedAtMs).toISOString(),
  },
  { title: 'reason', align: 'left', text: ({ reasonCode, reason }) => `${reasonCode}: ${printable(reason)}` },
];

/** A key is whatever somebody wrote; a terminal is not to obey it. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '\u{FFFD}').slice(0, 200);
}

function rangeOf({ since }: ListFlags): { readonly sinceMs?: number } {
  return since === undefined ? {} : { sinceMs: since };
}

function filterOf({ key, reason }: ListFlags): { readonly key?: string; readonly reasons?: readonly string[] } {
  return { ...(key === undefined ? {} : { key }), ...(reason === undefined ? {} : { reasons: reason }) };
}

function common(command: Command): Command {
  return command
    .option('--since <time>', 'only what failed since then: 10m, 2h, or 2026-11-23T06:00:00Z', (text) =>
      parseMoment(text, Date.now()),
    )
    .option('--key <key>', 'only records of this key: the camera id')
    .option('--reason <code...>', 'only those with this reason, for example SIGHTLINE_RECORD_UNDECODABLE')
    .option('--json', 'print JSON')
    .option('--brokers <host:port,…>', 'a few Kafka brokers (default: KAFKA_BROKERS)')
    .option('--prefix <name>', "what the names of topics begin with (default: 'sightline')");
}

function print(text: string): void {
  process.stdout.write(text);
}
