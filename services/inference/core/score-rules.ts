import { AppError } from '#shared/core/errors';
import type { ModelManifest, ScoreRules, ThresholdOverrides } from './model.ts';

/** The manifest's thresholds with the user's over them; throws SIGHTLINE_CONFIG_INVALID for a class that the model does not know. */
export function scoreRules(manifest: ModelManifest, overrides: ThresholdOverrides = {}): ScoreRules {
  const { labels, thresholds } = manifest;
  for (const className of [...Object.keys(overrides.perClass ?? {}), ...(overrides.classes ?? [])]) {
    if (!labels.includes(className)) {
      throw new AppError('SIGHTLINE_CONFIG_INVALID', `model ${manifest.name} has no class '${className}'`);
    }
  }
  const wanted = overrides.classes === undefined ? undefined : new Set(overrides.classes);
  const scoreByClass = Float64Array.from(labels, (className) => {
    if (wanted?.has(className) === false) return Number.POSITIVE_INFINITY;
    // A general threshold that the user sets outranks what the manifest says of single classes.
    return overrides.perClass?.[className] ?? overrides.score ?? thresholds.perClass[className] ?? thresholds.score;
  });
  return {
    scoreByClass,
    lowestScore: Math.min(...scoreByClass),
    nmsIou: overrides.nmsIou ?? thresholds.nmsIou,
    maxObjects: overrides.maxObjects ?? thresholds.maxObjects,
  };
}
