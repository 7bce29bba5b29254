import { onTestFinished } from 'vitest';
import { cameraError } from '../../services/ingest/core/camera-failure.ts';
import { createCameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type { StreamEnd } from '../../services/ingest/core/ports.ts';
import {
  ingestHarness,
  ManualClock,
  scriptedSources,
  settle,
  type IngestHarnessOptions,
  type ScriptedConnection,
} from './ingest-doubles.ts';

export const live = createCameraSpec({ id: 'yard', url: 'rtsp://camera.example/1' });
export const file = createCameraSpec({ id: 'clip', url: 'clip.mp4', untilEnd: true });
export const ended: StreamEnd = { reason: 'END_OF_STREAM', text: 'read to its end', error: null };
export const refused: StreamEnd = {
  reason: 'REFUSED',
  text: 'refused',
  error: cameraError('SIGHTLINE_CAMERA_REFUSED', 'refused'),
};

/** Ingest that runs on scripted cameras and a clock by hand. */
export async function startedIngest(options: Omit<IngestHarnessOptions, 'openSource' | 'clock'>) {
  const clock = new ManualClock();
  const connections: ScriptedConnection[] = [];
  const openSource = scriptedSources((connection) => connections.push(connection));
  const harness = ingestHarness({ ...options, openSource, clock });
  onTestFinished(() => harness.service.close());
  await harness.service.start();
  await settle();
  const latest = (): ScriptedConnection => {
    const connection = connections.at(-1);
    if (connection === undefined) throw new Error('nothing connected');
    return connection;
  };
  return { ...harness, clock, connections, latest };
}
