import type { ModelManifest } from '../../services/inference/core/model.ts';

/** A manifest in the form that its file has. */
export function writtenManifest(manifest: ModelManifest): Readonly<Record<string, unknown>> {
  const { input, thresholds } = manifest;
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
    outputs: writtenOutputs(manifest),
    ...(manifest.family === 'embedding'
      ? {}
      : {
          labels: [...manifest.labels],
          thresholds: {
            score: thresholds.score,
            per_class: { ...thresholds.perClass },
            nms_iou: thresholds.nmsIou,
            max_objects: thresholds.maxObjects,
          },
        }),
    precision: manifest.precision,
    licence: manifest.licence,
    source: manifest.source,
  };
}

function writtenOutputs({ family, outputs }: ModelManifest): Readonly<Record<string, unknown>> {
  switch (family) {
    case 'yolox':
    case 'yunet':
      return { strides: [...outputs.strides] };
    case 'picodet':
    case 'nanodet':
      return { strides: [...outputs.strides], reg_max: outputs.regMax };
    case 'ssd':
      return { box_form: outputs.boxForm, first_label: outputs.firstLabel };
    case 'classification':
      return { activation: outputs.activation, top_k: outputs.topK };
    case 'yolov8_pose':
      return { keypoints: [...outputs.keypoints] };
    case 'embedding':
      return {
        ...(outputs.classes === null ? {} : { classes: [...outputs.classes] }),
        max_objects: outputs.maxObjects,
      };
    case 'yolov5':
    case 'yolov8':
    case 'yolo_nms':
    case 'rtdetr':
    case 'fastestdet':
    case 'ultraface':
      return {};
  }
}
