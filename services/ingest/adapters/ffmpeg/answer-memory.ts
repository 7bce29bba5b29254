import { access, constants, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, delimiter, join, resolve } from 'node:path';

/** What ffmpeg told of its version, kept as long as its file stays as it is: to ask it costs some 60 ms of CPU at each start. */
export interface AnswerMemory {
  /** Null where nothing is known of the file as it is now. */
  recall(): Promise<string | null>;
  remember(answer: string): Promise<void>;
}

interface Entry {
  readonly binary: string;
  readonly answer: string;
}

const fileName = 'ffmpeg-version.json';

/** Null where the file does not tell which ffmpeg would run: a script, or a launcher that looks at the name it was started by. */
export async function openAnswerMemory(ffmpegPath: string, folder: string): Promise<AnswerMemory | null> {
  const binary = await identify(ffmpegPath).catch(() => null);
  if (binary === null) return null;
  const file = join(folder, fileName);
  return {
    async recall() {
      try {
        const entry: unknown = JSON.parse(await readFile(file, 'utf8'));
        return isEntry(entry) && entry.binary === binary ? entry.answer : null;
      } catch {
        // Nothing remembered, or not readable: then ffmpeg is asked.
        return null;
      }
    },
    async remember(answer) {
      const entry: Entry = { binary, answer };
      const fresh = `${file}.${process.pid}`;
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(fresh, JSON.stringify(entry));
        await rename(fresh, file);
      } catch {
        // It saves time and nothing depends on it; a folder that cannot be written is told by those who need it.
        await rm(fresh, { force: true }).catch(() => undefined);
      }
    },
  };
}

/** The file that would be run, with what changes when another takes its place. */
async function identify(ffmpegPath: string): Promise<string | null> {
  const found = await findExecutable(ffmpegPath);
  if (found === null) return null;
  const target = await realpath(found);
  if (!basename(target).startsWith('ffmpeg') || (await isScript(target))) return null;
  const { size, mtimeMs, ctimeMs, ino } = await stat(target);
  return [target, size, mtimeMs, ctimeMs, ino].join(' ');
}

/** The way the system looks for it when it is started. */
async function findExecutable(command: string): Promise<string | null> {
  if (command.includes('/')) return resolve(command);
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = resolve(folder, command);
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return null;
}

async function isScript(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead < 2 || buffer.toString('latin1') === '#!';
  } finally {
    await file.close();
  }
}

function isEntry(value: unknown): value is Entry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'binary' in value &&
    typeof value.binary === 'string' &&
    'answer' in value &&
    typeof value.answer === 'string'
  );
}
