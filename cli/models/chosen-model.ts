import type { ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';

/** The better one. Its weights are not ours to bundle, so it may be absent. */
const preferredModel = 'yolox-nano';
/** In every copy of Sightline, so that a site without a network runs too. */
const bundledModel = 'sightline-nano';

export interface ChosenModel {
  readonly nameOrPath: string;
  /** What the user should know about a choice that nobody made. */
  readonly reason?: string;
}

/**
 * The model that the setting names. `auto`, its default, is YOLOX-nano where its file is on this machine, else the bundled model: nothing
 * is fetched, so a start never waits for a network. A YOLOX-nano that is there and broken stays the choice, and its fault is told.
 */
export async function chooseModel(library: ModelLibrary, setting: string): Promise<ChosenModel> {
  if (setting !== 'auto') return { nameOrPath: setting };
  const preferred = await library.find(preferredModel);
  if (preferred.modelPath !== null) return { nameOrPath: preferredModel };
  return {
    nameOrPath: bundledModel,
    reason: `${preferredModel} is not on this machine, so the bundled ${bundledModel} runs: it is for a first look only; get the other by: sightline models pull yolox-nano`,
  };
}
