import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modelsFor } from '#shared/core/rollout/assignment';
import {
  applyStep,
  initialRollout,
  modelKey,
  planStep,
  type RolloutAction,
  type RolloutCommand,
  type RolloutState,
} from '#shared/core/rollout/rollout-state';
import { makeCommand as command, makeModelRef, rolledTo } from '../../../support/rollout-doubles.ts';

const [a, b, c] = [makeModelRef('a'), makeModelRef('b'), makeModelRef('c')];
const started = rolledTo(initialRollout, command('activate', { model: a }));

function plan(
  state: RolloutState,
  given: RolloutCommand,
  gate?: { verdict: 'pass' | 'fail' | 'pending'; reason: string },
) {
  return planStep(state, given, { timeUs: 9, ...(gate === undefined ? {} : { gate }) });
}

function stateOf(state: RolloutState, model = b): string | undefined {
  return state.versions.get(modelKey(model))?.state;
}

describe('the way of a new version', () => {
  test('goes from shadow over canary to active, and the one before stays to go back to', () => {
    const shadow = rolledTo(started, command('shadow', { model: b, share: 0.2 }));
    expect([stateOf(shadow), stateOf(shadow, a), shadow.candidate?.share]).toEqual(['SHADOW', 'ACTIVE', 0.2]);
    const canary = rolledTo(shadow, command('canary', { model: b, share: 0.5 }));
    expect([stateOf(canary), canary.candidate?.mode, canary.active]).toEqual(['CANARY', 'canary', a]);
    const promoted = rolledTo(canary, command('promote', { force: true }));
    expect([promoted.active, promoted.previous, promoted.candidate]).toEqual([b, a, null]);
    expect([stateOf(promoted), stateOf(promoted, a)]).toEqual(['ACTIVE', 'REGISTERED']);
    const back = rolledTo(promoted, command('rollback'));
    expect([back.active, back.previous, stateOf(back), stateOf(back, a)]).toEqual([a, null, 'ROLLED_BACK', 'ACTIVE']);
  });

  test('a rollback takes the candidate away first and leaves what is active alone', () => {
    const state = rolledTo(
      started,
      command('activate', { model: b }),
      command('canary', { model: c }),
      command('rollback'),
    );
    expect([state.active, state.previous, state.candidate, stateOf(state, c)]).toEqual([b, a, null, 'ROLLED_BACK']);
  });

  test('a rollback that names its version is one of that version and no other', () => {
    const canary = rolledTo(started, command('activate', { model: b }), command('canary', { model: c }));
    expect(rolledTo(canary, command('rollback', { model: c }))).toMatchObject({ active: b, candidate: null });
    const back = rolledTo(canary, command('rollback', { model: c }), command('rollback', { model: b }));
    expect([back.active, stateOf(back), stateOf(back, c)]).toEqual([a, 'ROLLED_BACK', 'ROLLED_BACK']);
  });

  test('a rollback right after that of the gate leaves the active model alone', () => {
    const byGate = { action: 'rollback', model: c, by: 'gate', reason: 'gate: too slow' } as const;
    const state = rolledTo(started, command('activate', { model: b }), command('canary', { model: c }), byGate);
    expect(() => plan(state, command('rollback', { model: c }))).toThrow(
      'c@1 was rolled back already, by gate: gate: too slow',
    );
    expect(() => plan(state, command('rollback'))).toThrow('c@1 was just rolled back by gate');
  });

  test('keeps the rules of the shadow for the canary where no others are given', () => {
    const state = rolledTo(
      started,
      command('shadow', { model: b, gate: { minFrames: 7, minAgreement: 0.5 } }),
      command('canary', { model: b, gate: { minFrames: 9 } }),
    );
    expect(state.candidate?.gate).toMatchObject({ minFrames: 9, minAgreement: 0.5 });
  });

  test('names who did it and why, on each step', () => {
    const step = plan(
      started,
      command('canary', { model: b, reason: 'night scenes', cameras: ['yard', 'door', 'yard'] }),
    );
    expect(step).toMatchObject({
      revision: 2,
      by: 'tester',
      reason: 'night scenes',
      timeUs: 9,
      cameras: ['door', 'yard'],
    });
  });
});

describe('what is refused', () => {
  const canary = rolledTo(started, command('canary', { model: b }));
  const retired = rolledTo(started, command('retire', { model: b }));
  test.each([
    ['activating what is active', started, command('activate', { model: a })],
    ['a shadow of the active model', started, command('shadow', { model: a })],
    ['a canary before any model is active', initialRollout, command('canary', { model: b })],
    ['a second candidate', canary, command('shadow', { model: c })],
    ['promoting without a candidate', started, command('promote')],
    ['promoting another than the candidate', canary, command('promote', { model: c })],
    ['promoting while nobody watches the gate', canary, command('promote')],
    ['going back without anything before', started, command('rollback')],
    ['rolling back what is not at work', canary, command('rollback', { model: c })],
    ['rolling back the active model beside a candidate', canary, command('rollback', { model: a })],
    ['retiring the active model', started, command('retire', { model: a })],
    ['retiring the candidate', canary, command('retire', { model: b })],
    ['retiring twice', retired, command('retire', { model: b })],
    ['activating a retired version', retired, command('activate', { model: b })],
    ['another file of a known version', retired, command('shadow', { model: { ...b, digest: 'f'.repeat(64) } })],
    ['a share above all', started, command('shadow', { model: b, share: 1.1 })],
    ['a share that is no number', started, command('shadow', { model: b, share: Number.NaN })],
    ['a share and names of cameras', started, command('shadow', { model: b, share: 0.1, cameras: ['x'] })],
    ['no camera at all', started, command('canary', { model: b, cameras: [] })],
  ] as const)('%s', (_, state, given) => {
    expect(() => plan(state, given)).toThrow(expect.objectContaining({ code: 'SIGHTLINE_ROLLOUT_REFUSED' }));
  });

  test('promoting before the gate has passed, unless it is forced', () => {
    const pending = { verdict: 'pending', reason: '3 of 200 frames seen' } as const;
    expect(() => plan(canary, command('promote'), pending)).toThrow(/3 of 200 frames/);
    expect(plan(canary, command('promote', { force: true }), pending).action).toBe('promote');
    expect(plan(canary, command('promote'), { verdict: 'pass', reason: 'fine' }).reason).toBe('promoted: fine');
  });

  test('a retired version comes back by force', () => {
    expect(rolledTo(retired, command('activate', { model: b, force: true })).active).toBe(b);
  });
});

test('passes over a step that was made on a state that is gone', () => {
  const step = plan(started, command('activate', { model: b }));
  const moved = rolledTo(started, command('activate', { model: c }));
  expect(applyStep(moved, step)).toBe(moved);
});

test('whatever is commanded, one model is active, it is no candidate, and every camera has exactly one', () => {
  const actions: readonly RolloutAction[] = ['activate', 'shadow', 'canary', 'promote', 'rollback', 'retire'];
  const anyCommand = fc.record({
    action: fc.constantFrom(...actions),
    model: fc.constantFrom(a, b, c),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    force: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 30 }), fc.string({ minLength: 1 }), (commands, camera) => {
      let state = started;
      const steps = [];
      for (const given of commands) {
        try {
          const step = plan(state, { ...given, by: 'anybody' });
          steps.push(step);
          state = applyStep(state, step);
        } catch {
          continue;
        }
        expect(state.active).not.toBeNull();
        expect(state.candidate?.model).not.toEqual(state.active);
        expect(state.previous).not.toEqual(state.active);
        expect([...state.versions.values()].filter((each) => each.state === 'ACTIVE')).toHaveLength(1);
        expect(state.versions.get(modelKey(state.active ?? a))?.state).toBe('ACTIVE');
        const given2 = modelsFor(state, camera);
        expect([state.active, state.candidate?.model]).toContainEqual(given2?.primary);
        expect(given2?.shadow).not.toEqual(given2?.primary);
      }
      expect(state.revision).toBe(1 + steps.length);
      // Whoever reads the steps later comes to the same.
      expect(steps.reduce(applyStep, started)).toEqual(state);
    }),
    { numRuns: 200 },
  );
});
