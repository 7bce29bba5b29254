import { AppError } from '#shared/core/errors';
import type { ModelManifest } from '../../../services/inference/core/model.ts';

/** The manifest of a model of family yolox in the form that its file has. */
export function writtenManifest(manifest: ModelManifest): Readonly<Record<string, unknown>> {
  const { input, thresholds } = manifest;
  if (manifest.family !== 'yolox') throw new AppError('SIGHTLINE_INTERNAL', 'only models of family yolox are made');
  return {
    schema_version: 1,
    name: manifest.name,
    version: manifest.version,
    file: manifest.file,
    sha256: manifest.sha256,
    task: manifest.task,
    family: manifest.family,
    input: {
      name: input.name,
      width_px: input.widthPx,
      height_px: input.heightPx,
      layout: input.layout,
      dtype: input.dtype,
      channel_order: input.channelOrder,
      mean: [...input.mean],
      std: [...input.std],
      resize:
        input.resize.mode === 'letterbox'
          ? {
              mode: 'letterbox',
              anchor: input.resize.anchor,
              pad_value: input.resize.padValue,
              shape: input.resize.shape,
            }
          : { mode: 'stretch' },
    },
    outputs: { strides: [...manifest.outputs.strides] },
    labels: [...manifest.labels],
    thresholds: {
      score: thresholds.score,
      per_class: { ...thresholds.perClass },
      nms_iou: thresholds.nmsIou,
      max_objects: thresholds.maxObjects,
    },
    precision: manifest.precision,
    licence: manifest.licence,
    source: manifest.source,
  };
}
