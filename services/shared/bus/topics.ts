import type { CameraStatus, DetectionFrame } from '#schemas';
import type { SampledFrame } from '#shared/core/frame';
import type { Topic } from './message-bus.ts';

export const framesTopic: Topic<SampledFrame> = { name: 'sightline.frames' };
export const detectionsTopic: Topic<DetectionFrame> = { name: 'sightline.detections' };
export const cameraStatusTopic: Topic<CameraStatus> = { name: 'sightline.camera-status' };
