import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderLiveView, type LiveRow } from '../../../cli/run/live-view.ts';

const row: LiveRow = {
  cameraId: 'front',
  state: 'ONLINE',
  reason: '',
  receivedFps: 5,
  analysedFps: 4.96,
  ageMs: 84,
  droppedFrames: 0,
  filteredFrames: 0,
  objects: { car: 1, person: 3 },
  progress: null,
};

function lines(rows: readonly LiveRow[], columns = 200): string[] {
  return stripVTControlCharacters(renderLiveView(rows, columns)).split('\n');
}

describe('live view', () => {
  it('shows state, rates, age and objects of a camera on one line, the most frequent class first', () => {
    expect(lines([row])).toEqual(['front   ONLINE      5.0 fps in  5.0 out  0.08 s old  3 person, 1 car']);
  });

  it('says why a camera is not online', () => {
    const [line] = lines([{ ...row, state: 'OFFLINE', reason: 'wrong password', ageMs: null, objects: {} }]);
    expect(line).toContain('OFFLINE');
    expect(line).toMatch(/no objects {2}wrong password$/);
  });

  it('shows losses only where there are some', () => {
    expect(lines([row])[0]).not.toContain('dropped');
    expect(lines([{ ...row, droppedFrames: 7, filteredFrames: 2 }])[0]).toContain('2 filtered  7 dropped');
  });

  it('draws a bar for a file', () => {
    expect(lines([{ ...row, progress: 0.5, ageMs: null }])[0]).toContain('[==========          ]  50 %');
  });

  it('keeps to the width of the terminal and lines names up', () => {
    const output = lines([row, { ...row, cameraId: 'loading-dock' }], 40);
    for (const line of output) expect(line.length).toBeLessThan(40);
    expect(output.map((line) => line.indexOf('ONLINE'))).toEqual([14, 14]);
  });
});
