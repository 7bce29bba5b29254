import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { TokenStore } from '../../services/control/core/ports.ts';
import { createToken } from '../../services/control/core/tokens.ts';

/** As in the state folder of a run, where the command line looks for it too. */
const keptTokenFile = 'local-token';

/**
 * The token of the operator who has the control service's folder: an administrator, in a file that only its user reads. It is made once and
 * stays through restarts, so that whoever took it goes on. Without the file a new one is made and the old one ends; one that was revoked
 * while its file is there stays revoked, unless there is no token left at all.
 */
export async function keepToken(
  tokens: TokenStore,
  { directory, clock, logger }: { readonly directory: string; readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  const path = join(directory, keptTokenFile);
  if (existsSync(path) && tokens.list().length > 0) return;
  for (const { id, name } of tokens.list()) if (name === keptTokenFile) tokens.remove(id);
  const { text, stored } = createToken(
    { name: keptTokenFile, role: 'admin', cameras: null, expiresAtMs: null },
    Math.round(clock.nowUs() / 1000),
  );
  try {
    // Whole or not at all: half a token in the file would be taken for one.
    await writeFile(`${path}.new`, `${text}\n`, { mode: 0o600, flush: true });
    tokens.put(stored);
    await rename(`${path}.new`, path);
  } catch (cause) {
    throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `the token cannot be kept in ${directory}`, { cause });
  }
  logger.info({ path }, 'an administrator token was made; the file has it');
}
