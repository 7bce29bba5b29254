import type { ModelEntry } from '../../services/control/core/ports.ts';
import type { ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';

/** The versions whose file is here too. Where one lies in two places it is the one that a run would take. */
export async function listModelEntries(library: ModelLibrary): Promise<readonly ModelEntry[]> {
  const entries = new Map<string, ModelEntry>();
  for (const found of await library.list()) {
    if ('error' in found || found.modelPath === null) continue;
    const { name, version, sha256, family, input, labels, precision, licence } = found.manifest;
    const key = `${name}@${version}`;
    if (entries.has(key)) continue;
    entries.set(key, {
      ...{ name, version, digest: sha256, family, labels, precision, licence },
      ...{ inputWidthPx: input.widthPx, inputHeightPx: input.heightPx },
    });
  }
  return [...entries.values()];
}
