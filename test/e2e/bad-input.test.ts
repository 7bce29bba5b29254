import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { demoSceneClip, shortSceneClip } from '../support/demo-scene-clip.ts';
import { expectFailure, prepareRun, until, type E2eRun } from '../support/e2e-run.ts';
import { makeClip, testPicture } from '../support/ingest-files.ts';
import { readDetections, readStatuses } from '../support/read-records.ts';
import { runSightline, startSightline } from '../support/run-sightline.ts';

/** What was written before a failure, and that nothing runs on. */
async function expectTidy(run: E2eRun): Promise<void> {
  const verify = await run.verify();
  expect(verify, verify.stdout + verify.stderr).toMatchObject({ code: 0 });
  expect(await run.livingDecoders()).toEqual([]);
}

function flipBits(bytes: Buffer, share: number, from: number): void {
  let state = 7;
  for (let count = 0; count < bytes.length * share; count++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const at = from + (state % (bytes.length - from));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (state >> 28));
  }
}

describe('a file that cannot be used', () => {
  it.each<[string, (file: string) => unknown, string]>([
    ['is not there', () => undefined, 'SIGHTLINE_FILE_UNREADABLE'],
    ['is a directory', (file) => mkdir(file), 'SIGHTLINE_FILE_UNREADABLE'],
    ['is empty', (file) => writeFile(file, ''), 'SIGHTLINE_FILE_NOT_VIDEO'],
    [
      'is no video',
      (file) => writeFile(file, 'these are notes, not pictures\n'.repeat(99)),
      'SIGHTLINE_FILE_NOT_VIDEO',
    ],
    [
      'leads ffmpeg to other files',
      (file) => writeFile(file, "ffconcat version 1.0\nfile '/etc/passwd'\n"),
      'SIGHTLINE_FILE_NOT_VIDEO',
    ],
    [
      'has its index cut off',
      async (file) => {
        await copyFile(await demoSceneClip(), file);
        await truncate(file, 5_000);
      },
      'SIGHTLINE_FILE_DAMAGED',
    ],
    [
      'has a codec that is not read',
      (file) => makeClip(...testPicture('64x48', 10, 1), '-c:v', 'huffyuv', '-f', 'matroska', file),
      'SIGHTLINE_FILE_CODEC_UNSUPPORTED',
    ],
    ['has sound only', (file) => makeClip('-f', 'lavfi', '-i', 'sine=duration=1', file), 'SIGHTLINE_FILE_NOT_VIDEO'],
  ])('ends the run with its reason: one that %s', async (_what, make, code) => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'file.mp4');
    await make(file);
    const ended = await run.run('--camera', `a=${file}`, '--until-end');
    expectFailure(ended, code, 3);
    expect(ended.stderr).toContain(']: camera a: ');
    expect((await run.report()).cameras).toMatchObject([{ camera_id: 'a', frames_received: 0, error_code: code }]);
    expect(await readDetections(run.results)).toEqual([]);
    expect((await readStatuses(run.results)).at(-1)).toMatchObject({ state: 'REJECTED' });
    await expectTidy(run);
  });
});

describe('a file with something odd about it', () => {
  it('gives what can be decoded of damaged H.264, and counts the damage', async () => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'damaged.h264');
    makeClip('-i', await shortSceneClip(), '-an', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb', file);
    const bytes = await readFile(file);
    flipBits(bytes, 0.0025, 200);
    await writeFile(file, bytes);
    const ended = await run.run('--camera', `a=${file}`, '--until-end', '--fps', '10');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const [camera] = (await run.report()).cameras;
    expect(camera?.frames_analysed).toBeGreaterThan(10);
    expect(camera?.decode_errors).toBeGreaterThan(0);
    await expectTidy(run);
  });

  it('gives the frames in front of the place where it was cut off, and says so', async () => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'cut.mp4');
    makeClip('-i', await demoSceneClip(), '-c', 'copy', '-movflags', '+faststart', file);
    const { length } = await readFile(file);
    await truncate(file, Math.floor(length / 2));
    const ended = await run.run('--camera', `a=${file}`, '--until-end');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const records = await readDetections(run.results);
    expect(records.length).toBeGreaterThan(20);
    expect(records.length).toBeLessThan(110);
    expect((await readStatuses(run.results)).at(-1)).toMatchObject({ state: 'ENDED', reason_code: 'CORRUPT' });
    await expectTidy(run);
  });

  it.each([
    ['of odd sides', ['-pix_fmt', 'yuv444p'], '641x359', { frame_width_px: 641, frame_height_px: 359 }, 5],
    ['of 8K', ['-preset', 'ultrafast'], '7680x4320', { frame_width_px: 7680, frame_height_px: 4320 }, 1],
    ['of one frame', ['-frames:v', '1'], '320x240', { frame_width_px: 320, frame_height_px: 240 }, 1],
  ])('takes one %s', async (_what, encoding, size, expected, frames) => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'odd.mp4');
    makeClip(...testPicture(size, 10, size === '7680x4320' ? 0.1 : 1), '-c:v', 'libx264', ...encoding, file);
    const ended = await run.run('--camera', `a=${file}`, '--until-end');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const records = await readDetections(run.results);
    expect(records).toHaveLength(frames);
    expect(records[0]).toMatchObject(expected);
    await expectTidy(run);
  });

  it('takes one that lies on its side as people see it', async () => {
    const run = await prepareRun();
    const upright = path.join(run.directory, 'upright.mp4');
    const file = path.join(run.directory, 'turned.mp4');
    makeClip(...testPicture('320x240', 10, 1), '-c:v', 'libx264', '-pix_fmt', 'yuv420p', upright);
    makeClip('-i', upright, '-c', 'copy', '-metadata:s:v', 'rotate=90', file);
    expect(await run.run('--camera', `a=${file}`, '--until-end')).toMatchObject({ code: 0 });
    expect((await readDetections(run.results))[0]).toMatchObject({ frame_width_px: 240, frame_height_px: 320 });
    await expectTidy(run);
  });

  it('refuses one whose header promises more than a decoder may have, without taking the memory', async () => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'huge.mjpeg');
    makeClip(...testPicture('64x48', 5, 2), '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-f', 'mjpeg', file);
    const bytes = await readFile(file);
    // Start-of-frame headers: after the length and the depth stand height and width.
    for (
      let at = bytes.indexOf(Buffer.from([0xff, 0xc0]));
      at >= 0;
      at = bytes.indexOf(Buffer.from([0xff, 0xc0]), at + 2)
    ) {
      bytes.writeUInt16BE(65_500, at + 5);
      bytes.writeUInt16BE(65_500, at + 7);
    }
    await writeFile(file, bytes);
    const ended = await run.run('--camera', `a=${file}`, '--until-end');
    expectFailure(ended, 'SIGHTLINE_FILE_DAMAGED', 3);
    await expectTidy(run);
  });
});

describe('settings that are wrong', () => {
  const clip = 'clip.mp4';
  it.each<[string, readonly string[], string, RegExp]>([
    ['two cameras of one name', ['--camera', `a=${clip}`, '--camera', `a=${clip}`], 'CONFIG_INVALID', /named a$/m],
    ['a name with a slash', ['--camera', `../a=${clip}`], 'CONFIG_INVALID', /"\.\.\/a"/],
    ['a name with a terminal code', ['--camera', `a\u001b[2J=${clip}`], 'CONFIG_INVALID', /"a\\u001b\[2J"/],
    ['a name that is too long', ['--camera', `${'a'.repeat(65)}=${clip}`], 'CONFIG_INVALID', /1 to 64/],
    ['no name', ['--camera', clip], 'USAGE', /NAME=URL/],
    ['a camera URL of another kind', ['--camera', 'a=ftp://h/x'], 'CAMERA_URL_INVALID', /camera a: .*"ftp"/],
    ['http without its switch', ['--camera', 'a=http://h/x'], 'CAMERA_URL_INVALID', /camera a: .*http/],
    ['a variable that is not set', ['--camera', 'a=rtsp://${NO_SUCH_NAME}@h/x'], 'CONFIG_INVALID', /NO_SUCH_NAME/],
    ['a number that is none', ['--fps', 'five'], 'USAGE', /--fps/],
    ['a number out of range', ['--fps', '0', '--camera', `a=${clip}`], 'CONFIG_INVALID', /fps .*more than 0/],
    ['a word that is not offered', ['--filter', 'some'], 'CONFIG_INVALID', /"off", "auto"/],
    ['a flag that is not there', ['--filtre', 'auto'], 'USAGE', /Did you mean --filter\?/],
    ['a port that is none', ['--http-port', '70000'], 'CONFIG_INVALID', /http\.port/],
    ['an ending that is not written', ['--results', 'out.csv'], 'RESULTS_DESTINATION_INVALID', /"\.csv"/],
    [
      'a looped file read until its end',
      ['--camera', `a=${clip}`, '--loop', '--until-end'],
      'CONFIG_INVALID',
      /no end/,
    ],
    ['a configuration that is not there', ['--config', 'absent.yaml'], 'CONFIG_INVALID', /absent\.yaml/],
  ])('are named: %s', async (_what, args, code, message) => {
    const run = await prepareRun();
    const ended = await run.run(...args);
    expectFailure(ended, `SIGHTLINE_${code}`, 2);
    expect(ended.stderr.split('\n')[0]).toMatch(message);
  });

  it.each<[string, string, string, RegExp]>([
    ['a setting that is not there', 'treshold: 0.5\n', 'CONFIG_INVALID', /treshold.*did you mean.*threshold/i],
    [
      'one of a camera',
      'cameras: {a: {url: x.mp4, transprot: udp}}\n',
      'CONFIG_INVALID',
      /transprot.*did you mean.*transport/i,
    ],
    ['a key given twice', 'fps: 5\nfps: 6\n', 'YAML_INVALID', /line 2/],
    ['broken YAML', 'cameras: {a: \n', 'YAML_INVALID', /line \d/],
    ['aliases that multiply', yamlBomb(), 'YAML_INVALID', /alias/],
    ['nesting without end', '['.repeat(100_000), 'YAML_INVALID', /nested|line 1/],
    ['a list of cameras', 'cameras: [a]\n', 'CONFIG_INVALID', /cameras/],
  ])('are named with their place in a file: %s', async (_what, text, code, message) => {
    const run = await prepareRun();
    const file = path.join(run.directory, 'cameras.yaml');
    await writeFile(file, text);
    const ended = await run.run('--config', file);
    expectFailure(ended, `SIGHTLINE_${code}`, 2);
    expect(ended.stderr.split('\n')[0]).toMatch(message);
  });
});

describe('a model that cannot be used', () => {
  it.each<[string, (manifest: string) => Promise<string>, string, number]>([
    ['whose manifest is not there', async (manifest) => `${manifest}.absent.yaml`, 'MODEL_NOT_FOUND', 4],
    [
      'that is cut off',
      (manifest) => withBytes(manifest, (bytes) => bytes.subarray(0, bytes.length / 2)),
      'MODEL_CORRUPT',
      3,
    ],
    [
      'that is not the one of its manifest',
      async (manifest) => {
        const file = manifest.replace(/yaml$/, 'onnx');
        await writeFile(file, Buffer.concat([await readFile(file), Buffer.from([0])]));
        return manifest;
      },
      'MODEL_DIGEST_MISMATCH',
      3,
    ],
    ['that is no model', (manifest) => withBytes(manifest, () => Buffer.from('no model')), 'MODEL_CORRUPT', 3],
    [
      'with other labels than outputs',
      (manifest) => withText(manifest, (text) => text.replace('[person, car]', '[person]')),
      'MODEL_SHAPE_MISMATCH',
      3,
    ],
    [
      'of another size than its manifest says',
      (manifest) => withText(manifest, (text) => text.replace('width_px: 64', 'width_px: 96')),
      'MODEL_SHAPE_MISMATCH',
      3,
    ],
    [
      'with a setting that is unknown',
      (manifest) => withText(manifest, (text) => text.replace('precision:', 'presicion:')),
      'MODEL_MANIFEST_INVALID',
      3,
    ],
  ])('ends the run before it begins: one %s', async (_what, change, code, exitCode) => {
    const run = await prepareRun();
    const model = await change(run.model);
    const ended = await run.run('--model', model, '--camera', `a=${await shortSceneClip()}`, '--until-end');
    expectFailure(ended, `SIGHTLINE_${code}`, exitCode);
    expect(await run.livingDecoders()).toEqual([]);
  });
});

describe('a place that cannot be written', () => {
  /** Nobody can make anything below a file, not even root. */
  async function blockedPath(run: E2eRun): Promise<string> {
    const file = path.join(run.directory, 'a-file');
    await writeFile(file, '');
    return path.join(file, 'below');
  }

  it.each<[string, (blocked: string) => readonly string[], string]>([
    ['results as a file', (blocked) => ['--results', `${blocked}/out.avro`], 'RESULTS_NOT_WRITABLE'],
    ['results as lines', (blocked) => ['--results', `${blocked}/out.jsonl`], 'RESULTS_NOT_WRITABLE'],
    ['results as a directory', (blocked) => ['--results', `${blocked}/`], 'RESULTS_NOT_WRITABLE'],
    ['the state', (blocked) => ['--state-dir', blocked], 'STATE_DIR_UNUSABLE'],
    ['the summary', (blocked) => ['--summary', `${blocked}/s.json`], 'SUMMARY_UNWRITABLE'],
  ])('is named: %s', async (_what, args, code) => {
    const run = await prepareRun();
    const ended = await run.run(
      '--camera',
      `a=${await shortSceneClip()}`,
      '--until-end',
      ...args(await blockedPath(run)),
    );
    expectFailure(ended, `SIGHTLINE_${code}`, 4);
    expect(ended.stderr).toContain('a-file/below');
    expect(await run.livingDecoders()).toEqual([]);
  });

  it('is named where the file system is read-only', async (test) => {
    const run = await prepareRun();
    const mounted = path.join(run.directory, 'read-only');
    if (!(await mountMemory(mounted, 'ro,size=1m'))) return test.skip('only root can mount a file system');
    const ended = await run.run('--camera', `a=${await shortSceneClip()}`, '--results', `${mounted}/results/`);
    expectFailure(ended, 'SIGHTLINE_RESULTS_NOT_WRITABLE', 4);
    expect(await run.livingDecoders()).toEqual([]);
  });

  it('is named when the disk fills up, and what was written before stays provable', async (test) => {
    const run = await prepareRun();
    const mounted = path.join(run.directory, 'small');
    if (!(await mountMemory(mounted, 'size=48k'))) return test.skip('only root can mount a file system');
    const results = path.join(mounted, 'out.avro');
    const clip = await demoSceneClip();
    // At their own speed, so that the disk fills block by block.
    const cameras = ['a', 'b', 'c', 'd'].flatMap((id) => ['--camera', `${id}=${clip}`]);
    const ended = await run.run('--results', results, ...cameras, '--fps', '10');
    expectFailure(ended, 'SIGHTLINE_RESULTS_DISK_FULL', 4);
    expect((await readDetections(results)).length).toBeGreaterThan(10);
    const verify = await runSightline(['results', 'verify', results]);
    expect(verify, verify.stdout + verify.stderr).toMatchObject({ code: 0 });
    expect(await run.livingDecoders()).toEqual([]);
  });

  it('is named where the port is taken', async () => {
    const holder = await prepareRun();
    const first = holder.start('--camera', `a=${await demoSceneClip()}`, '--http-port', '0');
    await first.untilStderr('serving the API');
    const [, port] = /"url":"http:\/\/[^:]+:(\d+)"/.exec(first.output().stderr) ?? [];
    const run = await prepareRun();
    const ended = await run.run('--camera', `a=${await shortSceneClip()}`, '--http-port', port ?? '');
    expectFailure(ended, 'SIGHTLINE_PORT_UNAVAILABLE', 4);
    first.child.kill('SIGTERM');
    expect(await first.finished).toMatchObject({ code: 0 });
  });
});

describe('an ffmpeg that cannot be used', () => {
  it.each<[string, string | null]>([
    ['is not there', null],
    ['is not ffmpeg', '#!/bin/sh\necho hello\n'],
    ['is too old', '#!/bin/sh\necho ffmpeg version 3.4.1\n'],
  ])('ends the run before it begins: one that %s', async (_what, script) => {
    const run = await prepareRun();
    const program = path.join(run.directory, 'other-ffmpeg');
    if (script !== null) {
      await writeFile(program, script);
      await chmod(program, 0o755);
    }
    const args = [...run.arguments, '--camera', `a=${await shortSceneClip()}`, '--until-end'];
    const ended = await startSightline(args, { SIGHTLINE_FFMPEG: program }).finished;
    expectFailure(ended, 'SIGHTLINE_FFMPEG_MISSING', 4);
  });

  it('counts what came, where ffmpeg is killed in the middle', async () => {
    const run = await prepareRun();
    const running = run.start('--camera', `a=${await demoSceneClip()}`);
    await until(
      async () => (await readDetections(run.results).catch(() => [])).length,
      (count) => count >= 3,
    );
    for (const pid of await run.livingDecoders()) process.kill(Number(pid), 'SIGKILL');
    expectFailure(await running.finished, 'SIGHTLINE_FFMPEG_FAILED', 70);
    await expectTidy(run);
  });
});

function yamlBomb(): string {
  const lines = Array.from({ length: 12 }, (_, step) => {
    const item = step === 0 ? 'lol' : `*a${step - 1}`;
    return `a${step}: &a${step} [${Array.from({ length: 9 }, () => item).join(', ')}]`;
  });
  return `${lines.join('\n')}\ncameras: *a11\n`;
}

async function withText(manifest: string, change: (text: string) => string): Promise<string> {
  const text = await readFile(manifest, 'utf8');
  const changed = change(text);
  expect(changed).not.toBe(text);
  await writeFile(manifest, changed);
  return manifest;
}

/** Changes the model and lets the manifest know. */
async function withBytes(manifest: string, change: (bytes: Buffer) => Buffer): Promise<string> {
  const file = manifest.replace(/yaml$/, 'onnx');
  const bytes = change(await readFile(file));
  await writeFile(file, bytes);
  const digest = createHash('sha256').update(bytes).digest('hex');
  return withText(manifest, (text) => text.replace(/sha256: .*/, `sha256: ${digest}`));
}

/** Mounts a file system of its own in memory; false where we may not. */
async function mountMemory(place: string, options: string): Promise<boolean> {
  await mkdir(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place], { stdio: 'ignore' });
  } catch {
    process.stderr.write('no file system could be mounted (root is needed): its test is skipped\n');
    return false;
  }
  onTestFinished(() => void execFileSync('umount', [place], { stdio: 'ignore' }));
  return true;
}
