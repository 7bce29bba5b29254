import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { defaultKafkaTuning } from '#shared/bus/kafka/kafka-settings';
import { createPlatformaticTopicReader } from '#shared/bus/kafka/platformatic/platformatic-topic-reader';
import { serviceTopics } from '#shared/bus/topics';
import type { SampledFrame } from '#shared/core/frame';
import { createMetricStore } from '#shared/core/metric-store';
import { systemClock } from '#shared/runtime/system-clock';
import { driftStates } from '../../../cli/service/drift-states.ts';
import { createInferenceWorker } from '../../../cli/service/inference-worker.ts';
import type { ServiceConnection } from '../../../cli/service/service-connection.ts';
import { createDriftWatch } from '../../../services/inference/drift-watch.ts';
import { until } from '../../support/e2e-run.ts';
import { createTestTopics, jsonSerde, openTestBus, silentLogger } from '../../support/kafka-buses.ts';
import { makeDetectionFrame, startTimeUs } from '../../support/result-records.ts';

const brokers = inject('kafkaBrokers');
const partitions = 3;
const windowMs = 6 * 3_600_000;
const frameEveryUs = 60_000_000;
/** A window has 360 frames, and 300 are needed for a figure. */
const phases = [
  { frames: 500, brightness: 180 },
  { frames: 400, brightness: 20 },
  { frames: 400, brightness: 20 },
] as const;

describe.skipIf(brokers.length === 0)('drift over several workers', () => {
  it('goes on with the reference where another worker stopped, and its beginning is told once', async () => {
    const topics = serviceTopics(`drift-${randomUUID()}`);
    const bus = openTestBus('platformatic', brokers);
    onTestFinished(() => bus.close());
    await createTestTopics(bus, [topics.frames.name, topics.detections.name, topics.drift.name], partitions);
    const openReader = () => createPlatformaticTopicReader({ brokers, clientId: 'test-drift' }, defaultKafkaTuning);
    const serdes = { serdeOf: () => jsonSerde, register: () => Promise.resolve() };
    const written = async (name: string): Promise<number> => {
      const reader = openReader();
      try {
        let records = 0;
        for await (const batch of reader.read(await reader.span(name, {}))) records += batch.records.length;
        return records;
      } finally {
        await reader.close();
      }
    };

    let sent = 0;
    for (const [turn, { frames, brightness }] of phases.entries()) {
      const worker = startWorker({ topics, openReader, serdes });
      await worker.start();
      const values = Array.from({ length: frames }, () => frameOf(++sent, brightness));
      await Promise.all(values.map((value) => bus.publish(topics.frames, { key: value.cameraId, value })));
      const total = sent;
      await until(
        () => written(topics.detections.name),
        (count) => count >= total,
      );
      await worker.drain();
      await worker.close();
      const [state] = await driftStates({ openReader, topics, serdes }, [0, 1, 2], partitions);
      expect(state?.changes.map(({ measure, is_over: isOver }) => [measure, isOver])).toEqual(
        turn === 0 ? [] : [['BRIGHTNESS', false]],
      );
      expect(state).toMatchObject({ camera_id: 'door', has_reference: true });
    }
    expect(await written(topics.detections.name)).toBe(sent);
  });
});

type Topics = ServiceConnection['topics'];

/** A worker whose model is nothing but the brightness that the test gave the frame. */
function startWorker(common: { topics: Topics } & Pick<ServiceConnection, 'openReader' | 'serdes'>) {
  const bus = openTestBus('platformatic', brokers);
  const metrics = createMetricStore();
  const drift = createDriftWatch({ windowMs, clock: systemClock, logger: silentLogger, metrics });
  const connection: ServiceConnection = {
    ...{ ...common, bus, waitsFor: undefined },
    ready: () => Promise.resolve(),
    persist: (_what, work) => work(),
    openBus: () => Promise.reject(new Error('not asked for here')),
    close: () => bus.close(),
  };
  const nothing = (): Promise<void> => Promise.resolve();
  return createInferenceWorker({
    connection,
    drift,
    // Only what a worker asks of it.
    inference: {
      ...{ start: nothing, drain: nothing, close: nothing, readiness: () => ({ ready: true }) },
      model: { name: 'none', version: '1', digest: 'a' },
      analyse: async (frame: SampledFrame) => {
        const { cameraId, epoch, frameSeq, times, tags } = frame;
        const timeMs = times.ingestTimeUs / 1000;
        drift.add({ cameraId, modelDigest: 'a', timeMs, objects: [], brightness: Number(tags['brightness']) });
        return makeDetectionFrame({ header: { camera_id: cameraId, epoch, frame_seq: frameSeq } });
      },
    } as never,
    rollouts: { open: nothing, close: nothing, observe: () => undefined } as never,
    ...{ maxInFlight: 4, group: `${common.topics.frames.name}.group`, logger: silentLogger, metrics },
  });
}

function frameOf(frameSeq: number, brightness: number): SampledFrame {
  const timeUs = startTimeUs + frameSeq * frameEveryUs;
  return {
    ...{ cameraId: 'door', epoch: 1, frameSeq, fate: 'analyse', image: null, motion: null, deadlineMs: null },
    times: {
      ...{ captureTimeUs: timeUs, captureTimeSource: 'ARRIVAL', captureTimeErrorMs: null },
      ...{ ingestTimeUs: timeUs, ptsUs: null },
    },
    ...{ sourceWidthPx: 64, sourceHeightPx: 48, tags: { brightness: String(brightness) } },
    accounting: makeDetectionFrame().accounting,
  };
}
