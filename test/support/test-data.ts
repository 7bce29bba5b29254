import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const repositoryRoot = resolve(import.meta.dirname, '../..');

/** Where the shared test data lies: beside the repository, or where SIGHTLINE_TEST_DATA says. */
const testDataRoot = process.env['SIGHTLINE_TEST_DATA'] ?? resolve(repositoryRoot, '../shared/data');

const announced = new Set<string>();

/**
 * The full path of a file of the shared test data, or undefined where it is not on this machine. Skip on undefined:
 * `const clip = testDataPath('videos/a.mp4'); test.skipIf(clip === undefined)('…', …)`. The reason is printed once per file.
 */
export function testDataPath(relative: string): string | undefined {
  const path = resolve(testDataRoot, relative);
  if (existsSync(path)) return path;
  if (!announced.has(relative)) {
    announced.add(relative);
    process.stderr.write(
      `test data absent, its tests are skipped: ${relative} (set SIGHTLINE_TEST_DATA to the folder that holds it)\n`,
    );
  }
  return undefined;
}
