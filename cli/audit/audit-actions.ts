import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '#shared/core/errors';
import { verifyChain, type AuditEntry } from '../../services/control/core/audit-chain.ts';
import { answerOf, openApi, type Api, type Schemas } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import type { JsonFlag } from '../api/api-options.ts';
import { print } from '../results/output.ts';

type Entry = Schemas['AuditRecord'];

const pageSize = 500;
const followIntervalMs = 1_000;

export async function tailAudit(
  flags: ApiFlags & JsonFlag & { readonly lines: number; readonly follow?: true },
): Promise<void> {
  const api = await openApi(flags);
  const toLine = flags.json === true ? jsonLine : textLine;
  const entries = await newest(api, Math.max(1, flags.lines));
  if (flags.lines > 0 && !(await print(entries.map(toLine).join('')))) return;
  if (flags.follow !== true) return;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let last = entries.at(-1)?.seq ?? 0;
  while (!stopped.signal.aborted) {
    const page = await readAfter(api, last);
    last = page.at(-1)?.seq ?? last;
    // Our own looking is in the log too, and is no news to whoever looks.
    const news = page.filter(({ action }) => action !== 'audit.view');
    if (news.length > 0 && !(await print(news.map(toLine).join('')))) return;
    // An interruption ends the wait, and the loop with it.
    await sleep(followIntervalMs, undefined, { signal: stopped.signal }).catch(() => undefined);
  }
}

export async function exportAudit(flags: ApiFlags): Promise<void> {
  const api = await openApi(flags);
  let last = 0;
  // What comes while we read, our own reading among it, is for the next export: else it would never end.
  const end = (await newest(api, 1))[0]?.seq ?? 0;
  while (last < end) {
    const page = await readAfter(api, last);
    const wanted = page.filter(({ seq }) => seq <= end);
    if (wanted.length === 0 || !(await print(wanted.map(jsonLine).join('')))) return;
    last = wanted.at(-1)?.seq ?? end;
  }
}

export async function verifyAudit(
  flags: ApiFlags & JsonFlag & { readonly expectedHash?: string; readonly file?: string },
): Promise<void> {
  const verdict =
    flags.file === undefined ? await verifyThere(flags) : await verifyFile(flags.file, flags.expectedHash);
  if (flags.json === true) await print(`${JSON.stringify(verdict, null, 2)}\n`);
  if (!verdict.intact) {
    const { broken_at: at, reason } = verdict;
    throw new AppError(
      'SIGHTLINE_AUDIT_BROKEN',
      `entry ${at ?? '?'} of the audit log: ${reason ?? 'is not as it was written'}`,
    );
  }
  if (flags.json !== true)
    await print(`intact: ${verdict.entries ?? 0} entries, last hash ${verdict.last_hash ?? ''}\n`);
}

async function verifyThere(flags: ApiFlags & { readonly expectedHash?: string }): Promise<Schemas['AuditVerdict']> {
  const api = await openApi(flags);
  const query = flags.expectedHash === undefined ? {} : { expected_hash: flags.expectedHash };
  return answerOf(api, api.client.GET('/api/v1/audit:verify', { params: { query } }));
}

/** The same check, made here on what was exported. */
async function verifyFile(file: string, expectedHash: string | undefined): Promise<Schemas['AuditVerdict']> {
  const entries: AuditEntry[] = [];
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (line !== '') entries.push(entryOf(JSON.parse(line)));
    }
  } catch (cause) {
    throw new AppError('SIGHTLINE_USAGE', `${file} cannot be read as an exported audit log`, {
      cause,
      action: 'Give the path of what `sightline audit export` wrote.',
    });
  }
  const verdict = verifyChain(entries, expectedHash);
  return verdict.intact
    ? { intact: true, entries: verdict.entries, last_hash: verdict.lastHash, broken_at: null, reason: null }
    : { intact: false, entries: null, last_hash: null, broken_at: verdict.seq, reason: verdict.reason };
}

function entryOf(line: unknown): AuditEntry {
  // A line that is no entry gives one that breaks the chain.
  const { time, actor_name: actorName, previous_hash: previousHash, ...rest } = line as Entry;
  return { ...rest, actorName, previousHash, timeMs: Date.parse(time) };
}

/** The newest entries, oldest of them first. */
async function newest(api: Api, count: number): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  let cursor: string | undefined;
  while (entries.length < count) {
    const query = { limit: Math.min(pageSize, count - entries.length), ...(cursor === undefined ? {} : { cursor }) };
    const page = await answerOf(api, api.client.GET('/api/v1/audit', { params: { query } }));
    entries.push(...page.items);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
  }
  return entries.reverse();
}

async function readAfter(api: Api, seq: number): Promise<readonly Entry[]> {
  const query = { after: seq, limit: pageSize };
  return (await answerOf(api, api.client.GET('/api/v1/audit', { params: { query } }))).items;
}

function jsonLine(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`;
}

function textLine({ seq, time, actor, actor_name: name, action, target, outcome, status }: Entry): string {
  const who = name === '' ? actor : `${name} (${actor})`;
  return `${seq}  ${time}  ${who}  ${action}${target === '' ? '' : ` ${target}`}  ${outcome} ${status}\n`;
}
