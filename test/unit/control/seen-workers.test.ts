import { expect, test } from 'vitest';
import { SeenWorkers } from '../../../services/control/core/seen-workers.ts';
import { makeDetectionFrame } from '../../support/result-records.ts';

test('workers and models are those whose results came in the last minute', () => {
  let nowMs = 0;
  const seen = new SeenWorkers(() => nowMs);
  const from = (instance: string) => ({ service: 'inference', instance_id: instance, version: '1' });
  seen.addResult(makeDetectionFrame({ header: { producer: from('one') }, model: { version: '1.0.0' } }));
  nowMs = 30_000;
  seen.addResult(makeDetectionFrame({ header: { producer: from('two') }, model: { version: '2.0.0' } }));
  seen.addResult(
    makeDetectionFrame({ header: { producer: from('two') }, model: { version: '3.0.0', role: 'SHADOW' } }),
  );
  expect(seen.workers()).toEqual([
    { instanceId: 'one', version: '1', silentMs: 30_000 },
    { instanceId: 'two', version: '1', silentMs: 0 },
  ]);
  expect(seen.models().map(({ version, role }) => [version, role])).toEqual([
    ['1.0.0', 'PRIMARY'],
    ['2.0.0', 'PRIMARY'],
    ['3.0.0', 'SHADOW'],
  ]);
  nowMs = 61_000;
  expect(seen.workers().map(({ instanceId }) => instanceId)).toEqual(['two']);
  expect(seen.models().map(({ version }) => version)).toEqual(['2.0.0', '3.0.0']);
});
