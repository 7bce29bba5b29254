import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { AppError } from '#shared/core/errors';
import { roles, type Role } from '../../core/access.ts';
import { chainStart, linkEntry, type AuditEntry } from '../../core/audit-chain.ts';
import type { AuditLog, TokenStore } from '../../core/ports.ts';
import type { StoredToken } from '../../core/tokens.ts';

type Row = Readonly<Record<string, SQLOutputValue>>;

export interface ControlStore {
  readonly tokens: TokenStore;
  readonly audit: AuditLog;
  close(): void;
}

const busyTimeoutMs = 2_000;

/**
 * Tokens and the audit log in one SQLite file of the state folder. Throws SIGHTLINE_STATE_DIR_UNUSABLE. The log refuses changes by trigger;
 * its chain of hashes shows those that somebody makes with the file in hand.
 */
export function openControlStore(stateDir: string): ControlStore {
  const path = join(stateDir, 'control.sqlite');
  let database: DatabaseSync;
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, cameras TEXT, sha256 TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER) STRICT;
      CREATE TABLE IF NOT EXISTS audit (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, actor TEXT NOT NULL, actor_name TEXT NOT NULL,
        action TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
      CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
      CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;`);
  } catch (cause) {
    throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `the state in ${path} cannot be written`, { cause });
  }
  let isClosed = false;
  return {
    tokens: createTokenStore(database),
    audit: createAuditLog(database),
    close() {
      if (!isClosed) database.close();
      isClosed = true;
    },
  };
}

function createTokenStore(database: DatabaseSync): TokenStore {
  const list = database.prepare('SELECT * FROM tokens ORDER BY id');
  const get = database.prepare('SELECT * FROM tokens WHERE id = ?');
  const put = database.prepare('INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM tokens WHERE id = ?');
  return {
    list: () => list.all().map(tokenOf),
    get(id) {
      const row = get.get(id);
      return row === undefined ? undefined : tokenOf(row);
    },
    put({ id, name, role, cameras, sha256, createdAtMs, expiresAtMs }) {
      put.run(id, name, role, cameras === null ? null : JSON.stringify(cameras), sha256, createdAtMs, expiresAtMs);
    },
    remove: (id) => Number(remove.run(id).changes) > 0,
  };
}

function createAuditLog(database: DatabaseSync): AuditLog {
  const last = database.prepare('SELECT * FROM audit ORDER BY seq DESC LIMIT 1');
  const insert = database.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const newest = database.prepare('SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?');
  const following = database.prepare('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?');
  const all = database.prepare('SELECT * FROM audit ORDER BY seq');
  return {
    append(fact) {
      // Read and written in one transaction: another process may write to the same log.
      database.exec('BEGIN IMMEDIATE');
      try {
        const row = last.get();
        const entry = linkEntry(fact, row === undefined ? chainStart : entryOf(row));
        const { seq, timeMs, actor, actorName, action, target, outcome, status, previousHash, hash } = entry;
        insert.run(seq, timeMs, actor, actorName, action, target, outcome, status, previousHash, hash);
        database.exec('COMMIT');
        return entry;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    newest: (limit, beforeSeq = Number.MAX_SAFE_INTEGER) => newest.all(beforeSeq, limit).map(entryOf),
    following: (limit, afterSeq) => following.all(afterSeq, limit).map(entryOf),
    *all() {
      for (const row of all.iterate()) yield entryOf(row);
    },
  };
}

function tokenOf(row: Row): StoredToken {
  const { name, role, cameras, sha256 } = row;
  return {
    id: text(row['id']),
    name: text(name),
    role: roles.find((one): one is Role => one === role) ?? 'viewer',
    // Written by `put` above.
    cameras: typeof cameras === 'string' ? (JSON.parse(cameras) as string[]) : null,
    sha256: text(sha256),
    createdAtMs: Number(row['created_at_ms']),
    expiresAtMs: row['expires_at_ms'] === null ? null : Number(row['expires_at_ms']),
  };
}

function entryOf(row: Row): AuditEntry {
  const outcome = row['outcome'];
  return {
    seq: Number(row['seq']),
    timeMs: Number(row['time_ms']),
    actor: text(row['actor']),
    actorName: text(row['actor_name']),
    action: text(row['action']),
    target: text(row['target']),
    outcome: outcome === 'ok' || outcome === 'refused' ? outcome : 'failed',
    status: Number(row['status']),
    previousHash: text(row['previous_hash']),
    hash: text(row['hash']),
  };
}

function text(value: SQLOutputValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
