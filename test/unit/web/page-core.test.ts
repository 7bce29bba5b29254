import { describe, expect, it } from 'vitest';
import { curlLine, withoutPassword } from '../../../web/src/core/command-lines.ts';
import { countStates, filterCameras } from '../../../web/src/core/filter-cameras.ts';
import { gridWindow } from '../../../web/src/core/grid-window.ts';
import { containedIn, fractionAt } from '../../../web/src/core/picture-fit.ts';
import { filterInHash, hrefOf, noFilter, parseRoute, tokenInHash, wallHref } from '../../../web/src/core/routes.ts';
import { LiveHistory } from '../../../web/src/core/series.ts';
import type { Camera } from '../../../web/src/core/types.ts';
import { withUser } from '../../../web/src/core/stream-url.ts';
import { durationText } from '../../../web/src/core/words.ts';

function camera(id: string, state: string, change: Partial<Camera> = {}): Camera {
  const unknown = undefined;
  return {
    ...{ id, name: id, url: 'rtsp://camera/stream', enabled: true, isFromFile: false, tags: [], targetFps: 5 },
    geometry: { zones: [], lines: [], masks: [] },
    etag: unknown,
    status: {
      ...{ state, reasonCode: 'NONE', reasonText: '', sinceMs: unknown, inFps: unknown, outFps: unknown },
      ...{ lastFrameMs: unknown, nextRetryMs: unknown, reconnects: unknown, codec: unknown },
      ...{ widthPx: unknown, heightPx: unknown, firstResultAfterMs: unknown },
    },
    ...change,
  };
}

const all = { text: '', state: '', tag: '' };

describe('the wall', () => {
  it('shows first what needs a look, then by number', () => {
    const cameras = [camera('c10', 'ONLINE'), camera('c2', 'ONLINE'), camera('c3', 'OFFLINE')];
    expect(filterCameras(cameras, all).map(({ id }) => id)).toEqual(['c3', 'c2', 'c10']);
  });

  it('finds by every word of the search, by state and by tag', () => {
    const cameras = [
      camera('gate', 'ONLINE', { tags: ['site=north'] }),
      camera('door', 'ONLINE', { tags: ['site=north'], enabled: false }),
      camera('yard', 'OFFLINE'),
    ];
    expect(filterCameras(cameras, { ...all, text: 'NORTH gate' }).map(({ id }) => id)).toEqual(['gate']);
    expect(filterCameras(cameras, { ...all, state: 'DISABLED' }).map(({ id }) => id)).toEqual(['door']);
    expect(filterCameras(cameras, { ...all, tag: 'site=north' })).toHaveLength(2);
    expect(countStates(cameras)).toEqual([
      ['OFFLINE', 1],
      ['ONLINE', 1],
      ['DISABLED', 1],
    ]);
  });

  it('keeps only the tiles around the view in the document', () => {
    const input = { count: 300, widthPx: 1240, minTilePx: 260, gapPx: 14, captionPx: 92, viewportPx: 800 };
    const top = gridWindow({ ...input, scrolledPx: -170 });
    expect(top.columns).toBe(4);
    expect(top.first).toBe(0);
    expect(top.end).toBeLessThan(40);
    const bottom = gridWindow({ ...input, scrolledPx: top.totalPx - 700 });
    expect(bottom.end).toBe(300);
    expect(bottom.end - bottom.first).toBeLessThan(40);
  });

  it('asks for no tile that there is not', () => {
    const empty = gridWindow({ ...{ count: 0, widthPx: 300, minTilePx: 260, gapPx: 14, captionPx: 92 }, ...scroll });
    expect(empty).toMatchObject({ columns: 1, first: 0, end: 0, totalPx: 0 });
  });
});

const scroll = { viewportPx: 800, scrolledPx: 0 };

describe('addresses of the page', () => {
  it.each([
    ['', { page: 'wall' }],
    ['#/cameras/front%20door', { page: 'camera', cameraId: 'front door' }],
    ['#/cameras/%', { page: 'camera', cameraId: '%' }],
    ['#/models', { page: 'models' }],
    ['#/nowhere', { page: 'wall' }],
  ])('%s leads to its page', (hash, route) => {
    expect(parseRoute(hash)).toEqual(route);
  });

  it('lead back to where they came from', () => {
    expect(parseRoute(hrefOf({ page: 'camera', cameraId: 'a/b' }))).toEqual({ page: 'camera', cameraId: 'a/b' });
  });

  it.each([noFilter, { text: 'dock 7/b & #1?', state: '', tag: 'floor=2' }, { text: '', state: 'OFFLINE', tag: '' }])(
    'hold how the wall is filtered: %o',
    (filter) => {
      expect(filterInHash(wallHref(filter))).toEqual(filter);
      expect(parseRoute(wallHref(filter))).toEqual({ page: 'wall' });
    },
  );

  it('give the token of a link and none of others', () => {
    expect(tokenInHash('#token=abc%2Bd')).toBe('abc+d');
    expect(tokenInHash('#/models')).toBeUndefined();
  });
});

describe('the picture in its field', () => {
  it('is shown whole, in the middle', () => {
    expect(containedIn({ width: 640, height: 360 }, { width: 1280, height: 920 })).toEqual({
      ...{ x: 0, y: 100, width: 1280, height: 720 },
    });
  });

  it('turns a press into a fraction of it, and one beside it into its edge', () => {
    const place = { x: 0, y: 100, width: 1280, height: 720 };
    expect(fractionAt({ x: 640, y: 460 }, place)).toEqual({ x: 0.5, y: 0.5 });
    expect(fractionAt({ x: 2000, y: 10 }, place)).toEqual({ x: 1, y: 0 });
  });
});

describe('lines for a shell', () => {
  it('carry what was typed as one word and leave the token to the environment', () => {
    const line = curlLine('http://localhost:8080', 'PATCH', '/api/v1/cameras/a', { name: "d'or" }, '"3"');
    expect(line).toContain("'{\"name\":\"d'\\''or\"}'");
    expect(line).toContain(`'If-Match: "3"'`);
    expect(line).toContain('Bearer $SIGHTLINE_TOKEN');
  });

  it('show no password', () => {
    expect(withoutPassword('rtsp://user:pa@ss@10.0.0.9/stream')).toBe('rtsp://…@10.0.0.9/stream');
  });
});

describe('charts', () => {
  it('show the mean of objects in a frame and the sum of frames, per second', () => {
    const history = new LiveHistory();
    const object = {
      ...{ className: 'car', confidence: 0.9 },
      box: { x: 0, y: 0, width: 0.1, height: 0.1 },
    };
    const frame = { messageId: '', frameSeq: 1, timingMs: { inference: 40 }, decision: 'ANALYSED' };
    const accounting = { frames_analysed: 1, frames_filtered: 4, effective_fps: 5 };
    history.add({ ...frame, captureMs: 1_000, objects: [object, object], accounting });
    history.add({ ...frame, captureMs: 1_200, objects: [], accounting });
    expect(history.objects()).toEqual({ names: ['car'], times: [1], columns: [[1]] });
    expect(history.fates()).toEqual({ names: ['analysed', 'filtered'], times: [1], columns: [[2], [8]] });
    expect(history.latency().columns).toEqual([[40]]);
  });
});

it('puts the user into an address that names none, and leaves alone one that does', () => {
  expect(withUser('rtsp://10.0.0.9/a@b', 'a/b')).toBe('rtsp://a%2Fb@10.0.0.9/a@b');
  expect(withUser('rtsp://ann:x@10.0.0.9/s', 'bob')).toBe('rtsp://ann:x@10.0.0.9/s');
  expect(withUser('rtsp://10.0.0.9/s', '')).toBe('rtsp://10.0.0.9/s');
});

it('tells durations as people do', () => {
  expect([120, 4_200, 59_000, 150_000, 7_500_000].map(durationText)).toEqual([
    ...['120 ms', '4.2 s', '59 s', '2 min', '2 h 5 min'],
  ]);
});
