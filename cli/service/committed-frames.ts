import type { DetectionFrame } from '#schemas';
import type { TopicSpan } from '#shared/bus/kafka/topic-reader';
import { AppError, toAppError } from '#shared/core/errors';
import type { ArrivedFrame } from '../../services/inference/core/frame-order.ts';
import type { ServiceConnection } from './service-connection.ts';

/** Offsets of the detections' end that are read: a thousand records are enough to meet every camera of a partition, and read in milliseconds. */
const tailLength = 1_000n;

/**
 * The frames that the last records of these partitions were made of. Frames and detections have the same keys and as many partitions, so
 * what was committed of a partition of frames stands in the partition of detections of the same number.
 */
export async function committedFrames(
  { openReader, topics, serdes }: Pick<ServiceConnection, 'openReader' | 'topics' | 'serdes'>,
  partitions: readonly number[],
): Promise<ReadonlyMap<number, readonly ArrivedFrame[]>> {
  const { name } = topics.detections;
  const serde = serdes.serdeOf(name);
  const found = new Map<number, ArrivedFrame[]>(partitions.map((partition) => [partition, []]));
  const reader = openReader();
  try {
    const whole = await reader.span(name, {}).catch((thrown: unknown) => {
      const error = toAppError(thrown);
      // It was there a moment ago; who asks one broker after the other may be told otherwise while a topic is young.
      throw error.code === 'SIGHTLINE_KAFKA_TOPIC_MISSING'
        ? new AppError(error.code, error.message, { cause: error, retryable: true })
        : error;
    });
    for await (const { partition, records } of reader.read(tailOf(whole, partitions))) {
      for (const { key, value, headers } of records) {
        try {
          // The serde of this topic gives records of its schema.
          const { header } = (await serde.decode({ key: key ?? '', value, headers })) as DetectionFrame;
          const { camera_id: cameraId, epoch, frame_seq: frameSeq } = header;
          found.get(partition)?.push({ cameraId, epoch, frameSeq });
        } catch (thrown) {
          // What somebody else wrote here says nothing about our frames.
          if (toAppError(thrown).retryable) throw thrown;
        }
      }
    }
  } finally {
    await reader.close();
  }
  return found;
}

function tailOf(whole: TopicSpan, wanted: readonly number[]): TopicSpan {
  const partitions = whole.partitions
    .filter(({ partition }) => wanted.includes(partition))
    .map((span) => (span.end - span.from > tailLength ? { ...span, from: span.end - tailLength } : span));
  return { ...whole, partitions };
}
