import { describe, expect, test } from 'vitest';
import { Placements } from '../../../services/control/core/placement.ts';
import { UnattendedCameras } from '../../../services/control/core/unattended-cameras.ts';
import { makeCameraStatus } from '../../support/result-records.ts';

const leaseMs = 5_000;
const control = { service: 'control', instance_id: 'c1', version: '1' };

function start() {
  const at = { ms: 0 };
  const nowMs = (): number => at.ms;
  const placements = new Placements({ leaseMs, nowMs });
  const unattended = new UnattendedCameras({
    ...{ placements, graceMs: 10_000, producer: control, nowMs, nowUs: () => at.ms * 1000 },
  });
  const heard = (id: string, cameras: readonly string[], { leaving = false, ageMs = 0 } = {}): void =>
    placements.heard({ instance_id: id, time: 0, is_leaving: leaving, cameras, version: '1' }, ageMs);
  const claimed = (camera: string, ingest: string, epoch: number): void =>
    placements.claimed(
      { camera_id: camera, time: 0, producer: { service: 'ingest', instance_id: ingest, version: '1' } },
      epoch,
    );
  return { at, placements, unattended, heard, claimed };
}

describe('which ingest has a camera', () => {
  test('is the one that claimed it last', () => {
    const { placements, heard, claimed } = start();
    heard('one', ['gate']);
    claimed('gate', 'one', 3);
    expect(placements.of('gate')).toMatchObject({ ingest: 'one', epoch: 3, is_attended: true, heard_s_ago: 0 });
    heard('two', ['gate']);
    claimed('gate', 'two', 7);
    expect(placements.of('gate')).toMatchObject({ ingest: 'two', epoch: 7, is_attended: true });
    expect(placements.of('yard')).toBeNull();
  });

  test('is nobody when it was not heard of for a lease, or has left', () => {
    const { at, placements, heard, claimed } = start();
    heard('one', ['gate']);
    claimed('gate', 'one', 1);
    at.ms = leaseMs + 1;
    expect(placements.of('gate')).toMatchObject({ ingest: 'one', is_attended: false, heard_s_ago: null });
    heard('one', ['gate']);
    expect(placements.isAttended('gate')).toBe(true);
    heard('one', [], { leaving: true });
    expect(placements.ingests()).toEqual([]);
  });

  test('is not told by what was said long ago and read only now', () => {
    const { placements, heard } = start();
    heard('one', ['gate'], { ageMs: 60_000 });
    expect(placements.isAttended('gate')).toBe(false);
  });

  test('stays known through an outage of Kafka, in which nobody can be heard', () => {
    const { at, placements, heard } = start();
    heard('one', ['gate']);
    at.ms = leaseMs - 1;
    placements.excuse();
    at.ms = 2 * leaseMs - 2;
    expect(placements.isAttended('gate')).toBe(true);
  });
});

describe('a camera that no ingest has', () => {
  test('is told as offline after a while, once, with the words of its ingest before', () => {
    const { at, unattended, heard } = start();
    const online = makeCameraStatus({ camera_id: 'gate', state: 'ONLINE', codec: 'h264' });
    heard('one', ['gate']);
    expect(unattended.look(['gate'], () => online)).toEqual([]);
    at.ms = leaseMs + 1;
    expect(unattended.look(['gate'], () => online)).toEqual([]);
    at.ms += 10_000;
    const [told] = unattended.look(['gate'], () => online);
    expect(told).toMatchObject({ state: 'OFFLINE', previous_state: 'ONLINE', codec: 'h264', producer: control });
    expect(told?.reason_text).toContain('no ingest runs');
    expect(told?.message_id).not.toBe(online.message_id);
    expect(unattended.look(['gate'], () => told)).toEqual([]);
    heard('one', ['gate']);
    expect(unattended.look(['gate'], () => told)).toEqual([online]);
    expect(unattended.look(['gate'], () => online)).toEqual([]);
  });

  test('is told again with another reason, and no more when somebody takes it', () => {
    const { at, unattended, heard } = start();
    unattended.look(['gate'], () => undefined);
    at.ms = 10_000;
    expect(unattended.look(['gate'], () => undefined)[0]).toMatchObject({
      state: 'OFFLINE',
      previous_state: 'UNKNOWN',
    });
    heard('one', []);
    expect(unattended.look(['gate'], () => undefined)[0]?.reason_text).toContain(
      'no ingest has taken the camera, 1 run',
    );
    heard('one', ['gate']);
    expect(unattended.look(['gate'], () => undefined)).toEqual([]);
  });

  test('is left alone where it ended or was refused, or is switched off', () => {
    const { at, unattended } = start();
    const rejected = makeCameraStatus({ camera_id: 'gate', state: 'REJECTED' });
    for (at.ms = 0; at.ms < 30_000; at.ms += 5_000) {
      expect(unattended.look(['gate'], () => rejected)).toEqual([]);
      expect(unattended.look([], () => undefined)).toEqual([]);
    }
  });
});
