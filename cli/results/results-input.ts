import { readKafkaEnvironment } from '#shared/runtime/kafka-environment';
import { isKafkaUrl, parseKafkaUrl } from '#shared/core/kafka-url';
import { AppError } from '#shared/core/errors';
import type { Excerpt } from '../../services/results/core/verify.ts';
import {
  findResultsFiles,
  inWrittenOrder,
  readResults,
  type ResultsPart,
} from '../../services/results/results-reader.ts';
import { openTopicResults, type TopicPart, type TopicResults } from '../../services/results/topic-results.ts';

/** When records were written, in milliseconds; only topics know it. */
export interface RangeOptions {
  readonly since?: number;
  readonly until?: number;
}

export interface ResultsInput {
  readonly kind: 'files' | 'topics';
  /** Names of the files or of the topics, in the order that they are read in. */
  readonly names: readonly string[];
  /** Of topics: what is not in what is read. */
  readonly excerpt?: Excerpt;
  parts(): AsyncGenerator<ResultsPart | TopicPart, void>;
  close(): Promise<void>;
}

export interface InputOptions extends RangeOptions {
  /** Also the camera statuses that lie beside a file of detections. */
  readonly withStatusesBeside?: boolean;
  /** Files in the order that they were written in and not that of the arguments. */
  readonly inWrittenOrder?: boolean;
}

/** Opens what the arguments name: files, or the topics of one kafka:// address. */
export async function openInput(inputs: readonly string[], options: InputOptions): Promise<ResultsInput> {
  if (inputs.some(isKafkaUrl)) {
    if (inputs.length > 1) throw usage('a kafka:// address stands alone: read files and topics one by one');
    const results = await openTopics(inputs[0] ?? '', options);
    return {
      kind: 'topics',
      names: results.topics,
      excerpt: { startsMidway: results.startsMidway, endTimeUs: results.endTimeUs },
      parts: () => results.read(),
      close: () => results.close(),
    };
  }
  if (options.since !== undefined || options.until !== undefined) {
    throw usage('--since and --until are for topics; files are read whole');
  }
  const found = await findResultsFiles(inputs, { withStatusesBeside: options.withStatusesBeside ?? false });
  const names = options.inWrittenOrder === true ? await inWrittenOrder(found) : found;
  return { kind: 'files', names, parts: () => readResults(names), close: () => Promise.resolve() };
}

/** The topics of a kafka:// address; how to sign in is taken from the environment. */
export async function openTopics(text: string, { since, until }: RangeOptions): Promise<TopicResults> {
  if (!isKafkaUrl(text)) throw usage('only topics can be followed: give a kafka:// address');
  if (since !== undefined && until !== undefined && since > until) throw usage('--since is later than --until');
  return openTopicResults(parseKafkaUrl(text), readKafkaEnvironment(process.env), {
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
  });
}

function usage(message: string): AppError {
  return new AppError('SIGHTLINE_USAGE', message);
}
