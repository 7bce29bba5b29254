import { Option, type Command } from 'commander';
import { answerOf, openApi, type Schemas } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { withApi, type JsonFlag } from '../api/api-options.ts';
import { readPages } from '../api/read-pages.ts';
import { print } from '../results/output.ts';
import { textTable } from '../results/text-table.ts';
import { durationS } from '../option-values.ts';

interface CreateFlags extends ApiFlags, JsonFlag {
  readonly role: Schemas['NewToken']['role'];
  readonly camera?: readonly string[];
  readonly expires?: number;
}

/** `sightline token create|list|revoke`. */
export function registerTokenCommands(program: Command): void {
  const token = program.command('token').description('make, list and revoke tokens of the API; for administrators');

  withApi(token.command('create'))
    .description('make a token and print it: it is told this once, and only its hash is kept')
    .argument('<name>', 'whom or what it is for')
    .addOption(new Option('--role <role>', 'what it may do').choices(['viewer', 'operator', 'admin']).default('viewer'))
    .option('--camera <id...>', 'only these cameras (default: all, those that come later too)')
    .option('--expires <time>', 'worth nothing after 30d, 12h, 10m (default: never)', durationS)
    .option('--json', 'print the token and what is stored of it as JSON')
    .action(create);

  withApi(token.command('list'))
    .description('list tokens; not their texts, which nobody has')
    .option('--json', 'print them as JSON')
    .action(list);

  withApi(token.command('revoke')).description('make tokens worthless at once').argument('<id...>').action(revoke);
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const api = await openApi(flags);
  const { role, camera, expires } = flags;
  const body = {
    ...{ name, role },
    ...(camera === undefined ? {} : { cameras: [...camera] }),
    ...(expires === undefined ? {} : { expires_in_s: expires }),
  };
  const answer = await answerOf(api, api.client.POST('/api/v1/tokens', { body }));
  if (flags.json !== true) process.stderr.write(`token ${answer.stored.id}, ${role}; told once:\n`);
  await print(flags.json === true ? `${JSON.stringify(answer, null, 2)}\n` : `${answer.token}\n`);
}

async function list(flags: ApiFlags & JsonFlag): Promise<void> {
  const api = await openApi(flags);
  const tokens = await readPages((cursor) =>
    answerOf(api, api.client.GET('/api/v1/tokens', { params: { query: { limit: 500, ...cursor } } })),
  );
  const columns = [
    { title: 'id', align: 'left', text: ({ id }: Schemas['Token']) => id },
    { title: 'role', align: 'left', text: ({ role }: Schemas['Token']) => role },
    { title: 'name', align: 'left', text: ({ name }: Schemas['Token']) => name },
    { title: 'cameras', align: 'left', text: ({ cameras }: Schemas['Token']) => cameras?.join(' ') ?? 'all' },
    { title: 'made', align: 'left', text: ({ created_at: made }: Schemas['Token']) => made },
    { title: 'until', align: 'left', text: ({ expires_at: end }: Schemas['Token']) => end ?? '-' },
  ] as const;
  await print(flags.json === true ? `${JSON.stringify(tokens, null, 2)}\n` : textTable(columns, tokens));
}

async function revoke(ids: readonly string[], flags: ApiFlags): Promise<void> {
  const api = await openApi(flags);
  for (const id of ids) {
    await answerOf(api, api.client.DELETE('/api/v1/tokens/{id}', { params: { path: { id } } }));
    await print(`${id}: revoked\n`);
  }
}
