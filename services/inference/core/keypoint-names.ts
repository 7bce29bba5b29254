import type { ModelManifest } from './model.ts';

/** The order of YuNet's landmarks, as its authors list them; right and left are those of the face. */
const faceKeypoints = ['right_eye', 'left_eye', 'nose', 'right_mouth_corner', 'left_mouth_corner'] as const;

/** The 17 of COCO, in its order. */
export const cocoKeypoints = [
  ...['nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder'],
  ...['left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee'],
  ...['left_ankle', 'right_ankle'],
] as const;

/** Names of the keypoints that each object of this model has; none for most. */
export function keypointNamesOf(manifest: ModelManifest): readonly string[] {
  if (manifest.family === 'yunet') return faceKeypoints;
  return manifest.family === 'yolov8_pose' ? manifest.outputs.keypoints : [];
}
