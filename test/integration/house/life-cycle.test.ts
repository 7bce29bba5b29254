import { describe, expect, it, onTestFinished } from 'vitest';

import { runProcess, type RunningProcess } from '../../support/run-process.ts';

const script = new URL('./scripted-service.ts', import.meta.url).pathname;
// npm sets this for its scripts, and then copies of a signal are expected.
const { npm_lifecycle_event: _ours, ...environment } = process.env;

function start(behaviour: string, extra: NodeJS.ProcessEnv = {}): RunningProcess {
  const running = runProcess(process.execPath, [script, behaviour], { ...environment, ...extra });
  onTestFinished(() => running.kill());
  return running;
}

describe('a service in its process', () => {
  it('ends with 0 when its work is done', async () => {
    const { code, stdout } = await start('finishes').ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'starting\nrunning\ndraining\ndraining\nclosed\nstopped\n' });
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('drains, closes and ends with 0 at %s', async (signal) => {
    const running = start('runs until told');
    await running.until('running');
    running.child.kill(signal);
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('draining\nclosed\nstopped\n');
  });

  it('ends at once at the second signal', async () => {
    const running = start('drains for ever');
    await running.until('running');
    running.child.kill('SIGTERM');
    await running.until('draining');
    running.child.kill('SIGINT');
    const { code, signal, stdout } = await running.ended;
    // A shell shows it as 130.
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGINT' });
    expect(stdout).not.toContain('closed');
  });

  it('takes the copy of a signal that npm or the launcher hands on for the same one', async () => {
    const running = start('runs until told', { SIGHTLINE_SIGNALS_FORWARDED: '1' });
    await running.until('running');
    running.child.kill('SIGINT');
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
  });

  it('ends with 70 when it fails, after closing', async () => {
    const { code, stdout } = await start('fails').ended;
    expect(code).toBe(70);
    expect(stdout).toContain('closed\nfailed\n');
  });

  it('logs what nobody caught without its password, closes and ends with 70', async () => {
    const { code, stdout, stderr } = await start('throws out of turn').ended;
    expect(code).toBe(70);
    expect(stdout).toContain('closed\nfailed\n');
    expect(stderr).toContain('nobody caught');
    expect(stderr).not.toContain('canary');
  });
});
