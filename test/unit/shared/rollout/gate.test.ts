import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeGate, type GateEvidence } from '#shared/core/rollout/gate';
import { defaultGate } from '#shared/core/rollout/gate-rules';

const good: GateEvidence = {
  frames: 500,
  failed: 0,
  latencyP95Ms: 30,
  activeLatencyP95Ms: 28,
  objects: 400,
  agreement: 0.9,
  dropRatio: 0.01,
  otherDropRatio: 0.01,
};

const judge = (change: Partial<GateEvidence>, rules = defaultGate) => judgeGate(rules, { ...good, ...change });

test('passes a candidate that keeps to all rules, and says by which figures', () => {
  const { verdict, reason, checks } = judge({});
  expect(verdict).toBe('pass');
  expect(reason).toContain('agreement 90.0 %');
  expect(checks.map(({ name }) => name)).toEqual(['frames', 'error_rate', 'latency', 'agreement', 'drops']);
});

test.each([
  ['failing frames', { failed: 6 }, 'error_rate'],
  ['taking too long', { latencyP95Ms: 43 }, 'latency'],
  ['seeing something else', { agreement: 0.74 }, 'agreement'],
  ['losing frames', { dropRatio: 0.04 }, 'drops'],
] as const)('fails a candidate for %s, with the figure', (_, change, name) => {
  const { verdict, checks } = judge(change);
  expect(verdict).toBe('fail');
  expect(checks.filter((check) => check.verdict === 'fail').map((check) => check.name)).toEqual([name]);
});

test.each([
  ['frames are too few', { frames: 199 }],
  ['nothing was compared', { agreement: null, objects: 0 }],
  ['too little was seen to compare', { agreement: 0.1, objects: 49 }],
  ['the time of the active model is not known', { activeLatencyP95Ms: null }],
  ['no frame was counted', { dropRatio: null }],
])('is pending while %s', (_, change) => {
  expect(judge(change).verdict).toBe('pending');
});

test('does not wait for more frames once too many have failed', () => {
  expect(judge({ frames: 3, failed: 3 }).verdict).toBe('fail');
  expect(judge({ frames: 3, failed: 2 }).verdict).toBe('pending');
});

test('asks for no agreement where none is wanted', () => {
  const { verdict, checks } = judge({ agreement: null, objects: 0 }, { ...defaultGate, minAgreement: 0 });
  expect([verdict, checks.some(({ name }) => name === 'agreement')]).toEqual(['pass', false]);
});

test('takes drops for none elsewhere where there is no other camera', () => {
  expect(judge({ dropRatio: 0.01, otherDropRatio: null }).verdict).toBe('pass');
  expect(judge({ dropRatio: 0.03, otherDropRatio: null }).verdict).toBe('fail');
});

test('never passes on worse figures what it failed on better ones', () => {
  const ratio = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.nat(100), ratio, ratio, fc.nat(50), ratio, (failed, agreement, dropRatio, more, less) => {
      const one = judge({ failed, agreement, dropRatio });
      const worse = judge({ failed: failed + more, agreement: agreement * less, dropRatio: dropRatio + more / 100 });
      if (one.verdict === 'fail') expect(worse.verdict).toBe('fail');
    }),
  );
});
