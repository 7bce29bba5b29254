import { open, rename, stat } from 'node:fs/promises';
import { AppError } from '#shared/core/errors';
import { keptPath } from '../core/destination.ts';
import { openError, systemCode } from './file-errors.ts';

/** How a path is to be opened for a new run: see openAppendFile. */
export type OpenFlags = 'wx' | 'r+' | 'w';

export interface ClearedPath {
  readonly path: string;
  readonly flags: OpenFlags;
  /** Where the results of an earlier run went; undefined where there were none. */
  readonly keptAs?: string;
}

interface Existing {
  readonly path: string;
  readonly kind: 'none' | 'empty' | 'device' | 'results';
  readonly modifiedUs: number;
}

/**
 * Makes room for a new run at the paths of one destination. Results of an earlier run are never touched but renamed, all with the same
 * time in their names: a restart after a crash must not cost what was recorded before it. A file that is not ours is refused.
 */
export async function clearDestination(paths: readonly string[]): Promise<ClearedPath[]> {
  // All are looked at before any is moved, so that a refusal leaves everything as it was.
  const existing = await Promise.all(paths.map(inspect));
  const kept = existing.filter(({ kind }) => kind === 'results');
  const stampUs = Math.max(0, ...kept.map(({ modifiedUs }) => modifiedUs));
  let attempt = 1;
  while ((await Promise.all(kept.map(({ path }) => exists(keptPath(path, stampUs, attempt))))).includes(true))
    attempt += 1;
  return Promise.all(
    existing.map(async ({ path, kind }): Promise<ClearedPath> => {
      if (kind === 'none') return { path, flags: 'wx' };
      if (kind !== 'results') return { path, flags: kind === 'empty' ? 'r+' : 'w' };
      const keptAs = keptPath(path, stampUs, attempt);
      try {
        await rename(path, keptAs);
      } catch (error) {
        throw openError(path, error);
      }
      return { path, flags: 'wx', keptAs };
    }),
  );
}

async function inspect(path: string): Promise<Existing> {
  try {
    const status = await stat(path);
    const modifiedUs = Math.round(status.mtimeMs * 1000);
    if (!status.isFile()) return { path, kind: 'device', modifiedUs };
    if (status.size === 0) return { path, kind: 'empty', modifiedUs };
    if (await isOurs(path)) return { path, kind: 'results', modifiedUs };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { path, kind: 'none', modifiedUs: 0 };
    throw openError(path, error);
  }
  throw new AppError('SIGHTLINE_RESULTS_FOREIGN_FILE', `${path} exists and does not hold results of Sightline`);
}

// By the first bytes alone: a file whose writer was killed is ours too.
async function isOurs(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    const beginning = buffer.toString('latin1', 0, bytesRead);
    if (path.endsWith('.jsonl')) return /^\{"type":"(?:detection_frame|camera_status)",/.test(beginning);
    return (
      beginning.startsWith('Obj\u0001') && /"(?:DetectionFrame|CameraStatus)","namespace":"sightline"/.test(beginning)
    );
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
