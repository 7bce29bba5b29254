/** The event that has a picture. */
export const still = '00000000-0000-5000-8000-000000000003';

const events = [
  made(4, 'camera.offline', 'ALERT', 'camera-6', 'Nothing listens at the address and port of the camera.', 'REFUSED'),
  made(3, 'camera.online', 'INFO', 'camera-4', 'frames arrive', 'NONE'),
  made(2, 'registration.changed', 'INFO', 'camera-4', 'changed: fps', null),
  made(1, 'model.gate_failed', 'ALERT', null, 'yolox-nano@1.1.0: gate: agrees too little', null),
];

/** Two to a page, so that there is a second one. */
export function eventsOf(search: URLSearchParams) {
  const wanted = events.filter(
    ({ camera_id: camera, kind }) =>
      (search.get('camera') ?? camera) === camera && kind.startsWith(search.get('kind') ?? ''),
  );
  const from = Number(search.get('cursor') ?? 0);
  return { items: wanted.slice(from, from + 2), next_cursor: wanted.length > from + 2 ? String(from + 2) : null };
}

function made(
  seq: number,
  kind: string,
  severity: string,
  cameraId: string | null,
  summary: string,
  reasonCode: string | null,
) {
  const id = `00000000-0000-5000-8000-00000000000${seq}`;
  return {
    ...{ id, seq, time: (1_764_136_800 + seq * 3_600) * 1_000_000, kind, severity, camera_id: cameraId, summary },
    ...{ reason_code: reasonCode, details: {}, has_still: id === still },
  };
}

export const system = {
  version: '0.1.0',
  mode: 'embedded',
  started_at: '2026-11-26T06:00:00Z',
  model: { name: 'yolox-nano', version: '1.0.0', digest: 'sha256:5b…' },
  results: 'results/',
  topics: [{ name: 'sightline.detections', consumer: 'sightline results tail kafka://localhost:9092' }],
  services: [
    { name: 'ingest', ready: true, reason: null },
    { name: 'inference', ready: true, reason: null },
  ],
  cameras: { total: 12, enabled: 11, by_state: { ONLINE: 9, OFFLINE: 2 } },
  capacity: { cores: 2, cpu_ms_per_frame: 61.2, is_measured: true, planned_cores: 1.2, free_cores: 0.8 },
  result_clients: 1,
};
export const audit = [
  {
    seq: 2,
    time: '2026-11-26T06:02:11Z',
    actor_name: 'first admin',
    action: 'camera.create',
    target: 'camera-1',
    outcome: 'ok',
  },
  {
    seq: 1,
    time: '2026-11-26T06:00:00Z',
    actor_name: 'first admin',
    action: 'token.create',
    target: 'wall',
    outcome: 'ok',
  },
];
export const tokens = [
  {
    id: '0123456789ab',
    name: 'first admin',
    role: 'admin',
    cameras: null,
    created_at: '2026-11-26T06:00:00Z',
    expires_at: null,
  },
  {
    id: '0123456789ac',
    name: 'wall',
    role: 'viewer',
    cameras: ['camera-1'],
    created_at: '2026-11-26T06:01:00Z',
    expires_at: null,
  },
];

const described = { port: 80, path: '/onvif/device_service', hardware: 'X-100', location: null };
export const devices = [{ ...described, address: '10.0.0.7', urn: 'urn:uuid:1', name: 'Yard cam' }];
export const profiles = [
  ...[
    { token: 'p1', name: 'main', codec: 'H264', width_px: 1920, height_px: 1080, fps: 25, url: 'rtsp://10.0.0.7/main' },
  ],
  ...[{ token: 'p2', name: 'sub', codec: 'H264', width_px: 640, height_px: 360, fps: 15, url: 'rtsp://10.0.0.7/sub' }],
];
