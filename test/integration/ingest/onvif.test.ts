import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { discoverDevices } from '../../../services/ingest/adapters/onvif/discover-devices.ts';
import { readProfiles, type ReadProfilesOptions } from '../../../services/ingest/adapters/onvif/read-profiles.ts';
import { startOnvifDevice, type OnvifDevice, type OnvifDeviceOptions } from '../../support/onvif-device.ts';

// A process of its own for each question, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

const account = { user: 'viewer', password: 'p@ss <word>' };

async function start(options: Partial<OnvifDeviceOptions> = {}): Promise<OnvifDevice> {
  const device = await startOnvifDevice({ ...account, ...options });
  onTestFinished(() => device.close());
  return device;
}

function profilesOf({ port }: Pick<OnvifDevice, 'port'>, more: Partial<ReadProfilesOptions> = {}) {
  return readProfiles({
    host: '127.0.0.1',
    port,
    ...account,
    policy: {},
    clock: systemClock,
    timeoutMs: 20_000,
    ...more,
  });
}

test('a search finds the device that answers, once', async () => {
  const { port, searchPort } = await start();
  const target = { address: '127.0.0.1', port: searchPort };
  expect(await discoverDevices({ timeoutMs: 1_000, targets: [target, target] })).toEqual([
    {
      ...{ address: '127.0.0.1', port, path: '/onvif/device_service', urn: 'urn:uuid:acme-1', name: 'Yard cam' },
      ...{ hardware: 'X-100', location: null },
    },
  ]);
});

test('whoever answers a search cannot send it to another machine, nor disturb it with rubbish', async () => {
  const elsewhere = await start({ foundAt: 'http://169.254.169.254/onvif/device_service' });
  const rubbish = createSocket('udp4');
  onTestFinished(() => void rubbish.close());
  rubbish.on('message', (_, from) =>
    rubbish.send(Buffer.from('<Envelope><ProbeMatches></Envelope>'), from.port, from.address),
  );
  rubbish.bind(0, '127.0.0.1');
  await once(rubbish, 'listening');
  const targets = [elsewhere.searchPort, rubbish.address().port].map((port) => ({ address: '127.0.0.1', port }));
  expect(await discoverDevices({ timeoutMs: 800, targets })).toEqual([]);
});

test('a device is asked for its streams at the address that was named, and they come without its credentials', async () => {
  const device = await start({ claimedHost: '192.0.2.44' });
  const { profiles, ...about } = await profilesOf(device);
  expect(about).toEqual({ manufacturer: 'Acme', model: 'X-100', firmware: '1.2' });
  expect(profiles).toEqual([
    {
      ...{ token: 'main', name: 'main stream', codec: 'H264', width_px: 1920, height_px: 1080, fps: 25 },
      url: 'rtsp://127.0.0.1:554/stream/main?a=1&b=2',
    },
    expect.objectContaining({ token: 'sub', width_px: 640, url: 'rtsp://127.0.0.1:554/stream/sub?a=1&b=2' }) as unknown,
  ]);
});

test('what is wrong is told by its code: the password, the port, the address, a service that is none', async () => {
  const device = await start();
  await expect(profilesOf(device, { password: 'wrong' })).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_AUTH' });
  await expect(profilesOf({ port: 9 })).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_REFUSED' });
  const denied = profilesOf(device, { policy: { denyLoopback: true } });
  await expect(denied).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_ALLOWED' });
  const strange = await start({
    answers: { GetServices: '<x/>', GetCapabilities: '<x/>', GetProfiles: '<s:a xmlns:s="b"/>' },
  });
  await expect(profilesOf(strange)).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_PROTOCOL' });
});
