import { describe, expect, it } from 'vitest';

import { AppError } from '#shared/core/errors';

import { failureText } from '../../../cli/failure-text.ts';

const quiet = { asJson: false, withStack: false };

describe('failureText', () => {
  it('names code, message and what to do, and gives the exit code of the catalogue', () => {
    const failure = failureText(new AppError('SIGHTLINE_USAGE', 'no camera', { action: 'Give --camera.' }), quiet);
    expect(failure).toEqual({ text: 'error [SIGHTLINE_USAGE]: no camera\nwhat to do: Give --camera.\n', exitCode: 2 });
  });

  it('counts what nobody foresaw as a fault of ours', () => {
    expect(failureText(new TypeError('x is not a function'), quiet)).toMatchObject({ exitCode: 70 });
  });

  it('writes JSON where asked to', () => {
    const { text } = failureText(new AppError('SIGHTLINE_USAGE', 'no camera'), { ...quiet, asJson: true });
    expect(JSON.parse(text)).toMatchObject({
      error: { code: 'SIGHTLINE_USAGE', message: 'no camera', retryable: false },
    });
  });

  it('prints no password, not in the stack of a cause either', () => {
    const url = 'rtsp://admin:canary@10.0.0.9/';
    const { text } = failureText(new AppError('SIGHTLINE_INTERNAL', url, { cause: new Error(url) }), {
      asJson: false,
      withStack: true,
    });
    expect(text).toContain('caused by');
    expect(text).not.toContain('canary');
  });
});
