import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync as Database } from 'node:sqlite';
import { releasedSchema, schemas, type CameraRegistration } from '#schemas';
import { recordTypes } from '#shared/codec/record-codec';
import { checkVersion, nextRegistration, unknownCamera, type CameraRegistry } from '#shared/core/camera-registry';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { RegistryWatchers } from '#shared/core/registry-watchers';
import { attempt } from './sqlite-attempt.ts';

export interface SqliteCameraRegistryOptions {
  readonly stateDir: string;
  readonly logger: Logger;
  /** How often it is looked whether another process changed something. Default 500. */
  readonly pollIntervalMs?: number;
}

const busyTimeoutMs = 2_000;
const entry = schemas['camera-registration'];
const type = recordTypes['camera-registration'];

/** Registered cameras in a SQLite file that only its owner may read; each as the Avro record it is, with the version of its schema. */
export function createSqliteCameraRegistry(options: SqliteCameraRegistryOptions): CameraRegistry {
  const { stateDir, logger, pollIntervalMs = 500 } = options;
  const path = join(stateDir, 'cameras.sqlite');
  const watchers = new RegistryWatchers(logger);
  let opening: Promise<Database> | undefined;
  let database: Database | undefined;
  let timer: NodeJS.Timeout | undefined;
  let seenVersion: unknown;
  /** What watchers were told, as `config_version` and time of each camera. */
  let told = new Map<string, string>();

  async function openDatabase(): Promise<Database> {
    const { DatabaseSync } = await import('node:sqlite');
    const opened = await attempt(path, async () => {
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      const file = new DatabaseSync(path, { timeout: busyTimeoutMs });
      try {
        await chmod(path, 0o600); // before the first row; the files beside it get the same
        file.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
        file.exec(
          'CREATE TABLE IF NOT EXISTS cameras (camera_id TEXT PRIMARY KEY, schema_version INTEGER NOT NULL, record BLOB NOT NULL) STRICT, WITHOUT ROWID',
        );
      } catch (error) {
        file.close();
        throw error;
      }
      return file;
    });
    database = opened;
    seenVersion = dataVersion(opened);
    told = marksOf(readAll(opened));
    timer = setInterval(lookForChanges, pollIntervalMs).unref();
    return opened;
  }

  /** `data_version` changes only with what other connections write. */
  function lookForChanges(): void {
    if (database === undefined) return;
    try {
      const version = dataVersion(database);
      if (version === seenVersion) return;
      seenVersion = version;
      const cameras = readAll(database);
      const marks = marksOf(cameras);
      const before = told;
      told = marks;
      for (const cameraId of before.keys()) if (!marks.has(cameraId)) watchers.tell({ cameraId, registration: null });
      for (const registration of cameras) {
        const cameraId = registration.camera_id;
        if (before.get(cameraId) !== marks.get(cameraId)) watchers.tell({ cameraId, registration });
      }
    } catch (thrown) {
      // Looked again at the next turn.
      seenVersion = undefined;
      logger.warn({ error: toAppError(thrown) }, 'registered cameras cannot be read');
    }
  }

  const opened = (): Promise<Database> => (opening ??= openDatabase());

  async function inTransaction<T>(work: (db: Database) => T): Promise<T> {
    const db = await opened();
    return attempt(path, () => {
      db.exec('BEGIN IMMEDIATE');
      try {
        const result = work(db);
        db.exec('COMMIT');
        return result;
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  return {
    async open() {
      await opened();
    },
    async list() {
      const db = await opened();
      return attempt(path, () => readAll(db));
    },
    async get(cameraId) {
      const db = await opened();
      return attempt(path, () => readOne(db, cameraId));
    },
    async put(registration, expected = {}) {
      const cameraId = registration.camera_id;
      const stored = await inTransaction((db) => {
        const next = nextRegistration(registration, readOne(db, cameraId), expected);
        db.prepare('INSERT OR REPLACE INTO cameras (camera_id, schema_version, record) VALUES (?, ?, ?)').run(
          cameraId,
          entry.version,
          type.encode(next),
        );
        return next;
      });
      told.set(cameraId, markOf(stored));
      watchers.tell({ cameraId, registration: stored });
      return stored;
    },
    async remove(cameraId, expected = {}) {
      await inTransaction((db) => {
        const previous = readOne(db, cameraId);
        if (previous === undefined) throw unknownCamera(cameraId);
        checkVersion(cameraId, previous, expected);
        db.prepare('DELETE FROM cameras WHERE camera_id = ?').run(cameraId);
      });
      told.delete(cameraId);
      watchers.tell({ cameraId, registration: null });
    },
    watch: (listener) => watchers.add(listener),
    close() {
      clearInterval(timer);
      watchers.clear();
      if (database?.isOpen === true) database.close();
      return Promise.resolve();
    },
  };
}

function dataVersion(database: Database): unknown {
  return database.prepare('PRAGMA data_version').get()?.['data_version'];
}

function readAll(database: Database): CameraRegistration[] {
  return database
    .prepare('SELECT camera_id, schema_version, record FROM cameras ORDER BY camera_id')
    .all()
    .map(registrationOf);
}

function readOne(database: Database, cameraId: string): CameraRegistration | undefined {
  const row = database
    .prepare('SELECT camera_id, schema_version, record FROM cameras WHERE camera_id = ?')
    .get(cameraId);
  return row === undefined ? undefined : registrationOf(row);
}

function registrationOf(row: Readonly<Record<string, unknown>>): CameraRegistration {
  const { camera_id: cameraId, schema_version: version, record } = row;
  if (typeof version !== 'number' || version > entry.version || !(record instanceof Uint8Array)) {
    throw new AppError(
      'SIGHTLINE_STATE_DIR_UNUSABLE',
      `the registration of camera ${String(cameraId)} was written by a newer version of Sightline`,
    );
  }
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const reader = version === entry.version ? type : type.reading(releasedSchema(entry.name, version).schema);
  const decoded = reader.decode(bytes, 0);
  if (decoded === undefined)
    throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `the registration of camera ${String(cameraId)} is torn`);
  return decoded.value;
}

function marksOf(cameras: readonly CameraRegistration[]): Map<string, string> {
  return new Map(cameras.map((camera) => [camera.camera_id, markOf(camera)]));
}

/** A camera that was removed and registered anew begins at version 1 again; its time tells the two apart. */
function markOf(camera: CameraRegistration): string {
  return `${camera.config_version}/${camera.created_at}`;
}
