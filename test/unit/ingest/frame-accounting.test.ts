import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccountingRecord } from '#schemas';
import { FrameAccounting, type KeptFrame } from '../../../services/ingest/core/frame-accounting.ts';

const rates = { targetFps: 5, effectiveFps: 5 };

function told(record: AccountingRecord): number {
  return (
    record.frames_analysed +
    record.frames_filtered +
    record.frames_dropped_ingest +
    record.frames_dropped_deadline +
    record.frames_failed
  );
}

type Step = 'filter' | 'keep' | 'hand-on' | 'fail' | 'drop-oldest-waiting' | 'damage';
const steps: readonly Step[] = ['filter', 'keep', 'hand-on', 'fail', 'drop-oldest-waiting', 'damage'];

describe('frame accounting', () => {
  test('tells of every frame exactly once, whatever the order of receiving, filtering, dropping and handing on', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...steps), { maxLength: 200 }), (script) => {
        const accounting = new FrameAccounting();
        const waiting: KeptFrame[] = [];
        const records: { frameSeq: number; record: AccountingRecord }[] = [];
        const expected = { filtered: 0, dropped: 0, damaged: 0, handedOn: 0 };
        for (const step of script) {
          if (step === 'filter') {
            accounting.filter();
            expected.filtered++;
          } else if (step === 'keep') waiting.push(accounting.keep());
          else if (step === 'damage') {
            accounting.noteDecodeErrors(2);
            expected.damaged += 2;
          } else if (step === 'drop-oldest-waiting') {
            // The first one is under way to the reader; the ring loses the oldest behind it.
            const [dropped] = waiting.splice(1, 1);
            if (dropped !== undefined) {
              accounting.drop(dropped, 'ring_full');
              expected.dropped++;
            }
          } else {
            const kept = waiting.shift();
            if (kept === undefined) continue;
            const record = accounting.recordFor(kept, rates);
            if (step === 'fail') {
              accounting.drop(kept, 'bus_unavailable');
              expected.dropped++;
            } else {
              accounting.handedOn(kept);
              records.push({ frameSeq: kept.frameSeq, record });
              expected.handedOn++;
            }
          }
        }
        for (const kept of waiting) {
          accounting.drop(kept, 'paused');
          expected.dropped++;
        }
        const closing = accounting.close(rates);
        if (closing !== null) records.push({ frameSeq: closing.frameSeq, record: closing.accounting });
        expect(accounting.close(rates)).toBeNull();

        let last = 0;
        const sums = { filtered: 0, dropped: 0, damaged: 0, handedOn: 0 };
        for (const { frameSeq, record } of records) {
          expect(record.frames_received).toBe(frameSeq - last);
          expect(told(record)).toBe(record.frames_received);
          const byReason = Object.values(record.drops_by_reason).reduce((sum, count) => sum + count, 0);
          expect(byReason).toBe(record.frames_dropped_ingest);
          sums.filtered += record.frames_filtered;
          sums.dropped += record.frames_dropped_ingest;
          sums.damaged += record.decode_errors;
          sums.handedOn += record.frames_analysed;
          last = frameSeq;
        }
        expect(last).toBe(accounting.lastReceivedSeq);
        // Damage after the last frame of an epoch has no record to stand on.
        expect(sums.damaged).toBeLessThanOrEqual(expected.damaged);
        expect({ ...sums, damaged: 0 }).toEqual({ ...expected, damaged: 0 });
      }),
      { numRuns: 300 },
    );
  });

  test('says that load is shed only where frames were dropped', () => {
    const accounting = new FrameAccounting();
    const first = accounting.keep();
    expect(accounting.recordFor(first, rates).load_state).toBe('NORMAL');
    accounting.drop(first, 'ring_full');
    expect(accounting.recordFor(accounting.keep(), rates).load_state).toBe('SHEDDING');
  });

  test('closes with the fate of the last frame', () => {
    const accounting = new FrameAccounting();
    const kept = accounting.keep();
    accounting.filter();
    accounting.drop(kept, 'ring_full');
    expect(accounting.close(rates)).toMatchObject({ frameSeq: 2, fate: 'filtered' });
  });
});
