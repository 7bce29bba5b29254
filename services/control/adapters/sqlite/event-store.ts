import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { AppError } from '#shared/core/errors';
import type { EventDetail, EventFilter, EventStore, KeptEvent } from '../../core/events/event.ts';
import { kindNames } from '../../core/events/event-kinds.ts';

export interface EventStoreOptions {
  /** `:memory:` keeps nothing beyond the process. */
  readonly path: string;
  readonly maxCount: number;
  readonly maxAgeMs: number;
  readonly nowUs: () => number;
}

type Row = Readonly<Record<string, SQLOutputValue>>;

const busyTimeoutMs = 2_000;
/** Too many are taken away in lots: counting them at each event would cost more than the event. */
const lot = 256;
/** No event of today's kinds comes near it. */
const maxDetailsLength = 8_192;

/** Events in a SQLite file. Throws SIGHTLINE_STATE_DIR_UNUSABLE where it cannot be opened. */
export function openEventStore({ path, maxCount, maxAgeMs, nowUs }: EventStoreOptions): EventStore {
  let database: DatabaseSync;
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // Events are worth no wait for the disk: what a power cut takes away is told again, or is over.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time_us INTEGER NOT NULL, kind TEXT NOT NULL,
        camera_id TEXT, summary TEXT NOT NULL, reason_code TEXT, details TEXT NOT NULL) STRICT;
      CREATE INDEX IF NOT EXISTS events_by_time ON events (time_us, seq);
      CREATE INDEX IF NOT EXISTS events_by_camera ON events (camera_id, time_us, seq);`);
  } catch (cause) {
    throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `the events in ${path} cannot be kept`, { cause });
  }
  const insert = database.prepare('INSERT OR IGNORE INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)');
  const count = database.prepare('SELECT COUNT(*) AS count FROM events');
  const tooOld = database.prepare('DELETE FROM events WHERE time_us < ?');
  const busiest = database.prepare(
    'SELECT camera_id, COUNT(*) AS count FROM events GROUP BY camera_id ORDER BY count DESC LIMIT 1',
  );
  const oldest = database.prepare(
    'DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE camera_id IS ? ORDER BY time_us, seq LIMIT ?)',
  );
  /** By their text: filters come in few shapes. */
  const statements = new Map<string, StatementSync>();
  let sinceTrimmed = 0;
  let isClosed = false;

  const oldestKeptUs = (): number => nowUs() - maxAgeMs * 1000;

  function trim(): void {
    sinceTrimmed = 0;
    tooOld.run(oldestKeptUs());
    let excess = Number(count.get()?.['count']) - maxCount;
    while (excess > 0) {
      const most = busiest.get();
      const taken = Math.min(excess, Math.max(1, Math.ceil(Number(most?.['count']) / 2)));
      oldest.run(most?.['camera_id'] ?? null, taken);
      excess -= taken;
    }
  }

  function select(filter: EventFilter, more: string, values: readonly SQLInputValue[]): readonly KeptEvent[] {
    const { sql, parameters } = conditionsOf(filter);
    const text = `SELECT * FROM events WHERE ${sql} ${more}`;
    let statement = statements.get(text);
    if (statement === undefined) statements.set(text, (statement = database.prepare(text)));
    return statement.all(...parameters, ...values).map(eventOf);
  }

  trim();
  return {
    add(event) {
      if (event.timeUs < oldestKeptUs()) return undefined;
      const { id, timeUs, kind, cameraId, summary, reasonCode } = event;
      const details = JSON.stringify(event.details);
      const kept = details.length > maxDetailsLength ? '{"cut":true}' : details;
      const { changes, lastInsertRowid } = insert.run(id, timeUs, kind, cameraId, summary, reasonCode, kept);
      if (Number(changes) === 0) return undefined;
      if (++sinceTrimmed >= lot) trim();
      return { ...event, seq: Number(lastInsertRowid) };
    },
    newest: (filter, limit, before) =>
      before === undefined
        ? select(filter, 'ORDER BY time_us DESC, seq DESC LIMIT ?', [limit])
        : select(filter, 'AND (time_us, seq) < (?, ?) ORDER BY time_us DESC, seq DESC LIMIT ?', [
            before.timeUs,
            before.seq,
            limit,
          ]),
    following: (filter, afterSeq, limit) =>
      select(filter, 'AND seq > ? ORDER BY seq DESC LIMIT ?', [afterSeq, limit]).toReversed(),
    lastOfCameras: (kinds) =>
      database
        .prepare(
          `SELECT * FROM events WHERE seq IN (SELECT seq FROM (SELECT seq, ROW_NUMBER() OVER (PARTITION BY camera_id ORDER BY time_us DESC, seq DESC) AS place
             FROM events WHERE camera_id IS NOT NULL AND kind IN (SELECT value FROM json_each(?))) WHERE place = 1)`,
        )
        .all(JSON.stringify(kinds))
        .map(eventOf),
    close() {
      if (!isClosed) database.close();
      isClosed = true;
    },
  };
}

function conditionsOf({ visible, cameraId, kinds, sinceUs, untilUs }: EventFilter): {
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
} {
  const parts: [sql: string, value: SQLInputValue | undefined][] = [
    ['camera_id IN (SELECT value FROM json_each(?))', visible === null ? undefined : JSON.stringify(visible)],
    ['camera_id = ?', cameraId],
    ['kind IN (SELECT value FROM json_each(?))', kinds === undefined ? undefined : JSON.stringify(kinds)],
    ['time_us >= ?', sinceUs],
    ['time_us < ?', untilUs],
  ];
  const used = parts.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]));
  return { sql: ['1', ...used.map(({ sql }) => sql)].join(' AND '), parameters: used.map(({ value }) => value) };
}

function eventOf(row: Row): KeptEvent {
  const { id, kind, camera_id: cameraId, summary, reason_code: reasonCode, details } = row;
  return {
    seq: Number(row['seq']),
    id: String(id),
    timeUs: Number(row['time_us']),
    // A later version's kinds are none of ours: shown as they are, and found by no filter of kinds.
    kind: kindNames.find((one) => one === kind) ?? (String(kind) as KeptEvent['kind']),
    cameraId: typeof cameraId === 'string' ? cameraId : null,
    summary: String(summary),
    reasonCode: typeof reasonCode === 'string' ? reasonCode : null,
    details: JSON.parse(String(details)) as Readonly<Record<string, EventDetail>>, // written by `add`
  };
}
