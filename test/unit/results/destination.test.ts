import { describe, expect, test } from 'vitest';
import { keptPath, parseDestination, rotatedFileName } from '../../../services/results/core/destination.ts';
import { isRotationDue } from '../../../services/results/core/rotation.ts';
import { startTimeUs } from '../../support/result-records.ts';

describe('where results go', () => {
  test.each([
    ['-', { kind: 'standard-output' }],
    ['out.avro', { kind: 'avro-file', detectionsPath: 'out.avro', statusPath: 'out.camera-status.avro' }],
    [
      '/data/a.b/out.avro',
      { kind: 'avro-file', detectionsPath: '/data/a.b/out.avro', statusPath: '/data/a.b/out.camera-status.avro' },
    ],
    ['out.jsonl', { kind: 'json-lines-file', path: 'out.jsonl' }],
    ['results', { kind: 'avro-directory', directory: 'results' }],
    ['results.d/', { kind: 'avro-directory', directory: 'results.d/' }],
    ['/data/.hidden', { kind: 'avro-directory', directory: '/data/.hidden' }],
    ['..', { kind: 'avro-directory', directory: '..' }],
    ['kafka/', { kind: 'avro-directory', directory: 'kafka/' }],
    [
      'kafka://a,b:9093/?registry=http://r:8080/apis/ccompat/v7/&prefix=site&partitions=12&replication=3',
      {
        kind: 'kafka',
        brokers: ['a:9092', 'b:9093'],
        registryUrl: 'http://r:8080/apis/ccompat/v7',
        detectionsTopic: 'site.detections',
        statusTopic: 'site.camera-status',
        partitions: 12,
        replicationFactor: 3,
      },
    ],
  ])('%s', (text, destination) => {
    expect(parseDestination(text)).toEqual(destination);
  });

  test.each(['', 'out.mp4', 'out.json', 'out.avro.gz', 'a\0.avro'])('%j is refused', (text) => {
    expect(() => parseDestination(text)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_RESULTS_DESTINATION_INVALID' }),
    );
  });
});

test('results on Kafka need a registry for their schemas', () => {
  expect(() => parseDestination('kafka://broker:9092')).toThrow(
    expect.objectContaining({
      code: 'SIGHTLINE_KAFKA_URL_INVALID',
      message: expect.stringContaining('registry') as string,
    }),
  );
});

test('the files of an earlier run keep being a pair', () => {
  expect(keptPath('a.b/out.avro', startTimeUs, 1)).toBe('a.b/out.20261123T060000Z.avro');
  expect(keptPath('a.b/out.camera-status.avro', startTimeUs, 1)).toBe('a.b/out.20261123T060000Z.camera-status.avro');
  expect(keptPath('out.jsonl', startTimeUs, 2)).toBe('out.20261123T060000Z-2.jsonl');
});

test('files of a directory are named by time and number', () => {
  expect(rotatedFileName('detections', startTimeUs, 7)).toBe('detections-20261123T060000Z-0007.avro');
});

describe('a new file is begun', () => {
  const policy = { maxFileBytes: 1000, maxFileAgeMs: 60_000 };
  test.each([
    ['when the next block would pass the size', { sizeBytes: 900, ageMs: 0, records: 5 }, 101, true],
    ['not when it just fits', { sizeBytes: 900, ageMs: 0, records: 5 }, 100, false],
    ['when the file is old', { sizeBytes: 10, ageMs: 60_000, records: 5 }, 1, true],
    ['not while the file holds nothing', { sizeBytes: 900, ageMs: 60_000, records: 0 }, 5000, false],
  ])('%s', (_when, file, nextBlockBytes, due) => {
    expect(isRotationDue(file, nextBlockBytes, policy)).toBe(due);
  });
});
