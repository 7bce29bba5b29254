import { readdir, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AppError, toAppError } from '#shared/core/errors';
import type { SizePx } from '#shared/core/inference-geometry';
import type { ModelInput } from '../../services/inference/core/model.ts';
import { createInputWriter } from '../../services/inference/core/input-writer.ts';
import { extractFrames } from './distil/clip-frames.ts';
import type { Picture } from './eval-model.ts';
import { clipDurationSeconds, picturePixels, pictureSize } from './picture-pixels.ts';

const probesAtOnce = 4;
const pictureExtensions = new Set(['.jpg', '.jpeg', '.png']);

/** At most so many pictures, spread evenly over a folder of them or a clip. */
export async function findPictures(source: string, most: number, workDirectory: string): Promise<readonly string[]> {
  const facts = await stat(source).catch(() => null);
  if (facts?.isFile() === true) {
    const seconds = await clipDurationSeconds(source);
    const fps = seconds > 0 ? Math.min(25, most / seconds) : 1;
    const { directory, count } = await extractFrames(source, join(workDirectory, 'frames'), fps, most);
    return (await readdir(directory))
      .toSorted()
      .slice(0, count)
      .map((name) => join(directory, name));
  }
  const names = facts?.isDirectory() === true ? await readdir(source) : [];
  const pictures = names.filter((name) => pictureExtensions.has(extname(name).toLowerCase())).toSorted();
  if (pictures.length === 0)
    throw new AppError('SIGHTLINE_USAGE', `there is no picture in ${source}`, {
      action: 'Name a folder with pictures (.jpg, .png), or a clip.',
    });
  const step = Math.max(1, pictures.length / most);
  const count = Math.min(most, pictures.length);
  return Array.from({ length: count }, (_, index) => join(source, pictures[Math.floor(index * step)] ?? ''));
}

/** Writes each as the model takes it, scaled and normalised as a frame of a camera; gives the files. */
export async function writeInputs(
  pictures: readonly string[],
  input: ModelInput,
  directory: string,
): Promise<readonly string[]> {
  const writer = createInputWriter(input);
  const files: string[] = [];
  for (const [index, picture] of pictures.entries()) {
    writer.write(await picturePixels(picture, await pictureSize(picture), input));
    const file = join(directory, `input-${index}.f32`);
    await writeFile(file, new Uint8Array(writer.tensor.buffer, writer.tensor.byteOffset, writer.tensor.byteLength));
    files.push(file);
  }
  return files;
}

/** The pictures of a folder as those of annotations are named. What is named so and is none is left out: a folder of thousands has one. */
export async function unlabelledPictures(directory: string, most: number): Promise<readonly Picture[]> {
  const files = await findPictures(directory, most, directory);
  const sizes = new Map<string, SizePx>();
  let next = 0;
  // Each is a process: a few at once.
  const readers = Array.from({ length: probesAtOnce }, async () => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      const size = await pictureSize(file).catch((thrown: unknown) => {
        if (toAppError(thrown).code !== 'SIGHTLINE_USAGE') throw thrown;
        return undefined;
      });
      if (size !== undefined) sizes.set(file, size);
    }
  });
  await Promise.all(readers);
  return files.flatMap((file, id) => {
    const size = sizes.get(file);
    const name = file.slice(directory.length).replace(/^\/+/, '');
    return size === undefined ? [] : [{ id, file_name: name, width: size.widthPx, height: size.heightPx }];
  });
}
