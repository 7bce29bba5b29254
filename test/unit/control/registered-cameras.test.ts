import { expect, test } from 'vitest';
import { createMemoryCameraRegistry } from '#shared/store/memory-camera-registry';
import { openRegisteredCameras } from '../../../services/control/core/registered-cameras.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { registration } from '../../support/registrations.ts';

async function directory() {
  const registry = createMemoryCameraRegistry(silentLogger);
  await registry.open();
  const cameras = await openRegisteredCameras({
    registry,
    fromFile: [],
    makeRegistration: registration,
    revealUrl: ({ url }) => url,
  });
  return { registry, cameras };
}

const polygon = [0.1, 0.2, 0.3].map((x) => ({ x, y: 0.7 }));
const line = { id: 'gate', name: 'Gate', from: { x: 0.1, y: 0.2 }, to: { x: 0.3, y: 0.2 } };

test('numbers come back as they were written, though records hold 32 bits of them', async () => {
  const { cameras } = await directory();
  const crop = { x: 0.1, y: 0.2, width: 0.3, height: 0.7 };
  const geometry = { zones: [{ id: 'z', name: 'Z', polygon }], lines: [line], masks: [{ id: 'm', name: '', polygon }] };
  const stored = await cameras.create({ id: 'door', url: 'rtsp://192.0.2.1/', fps: 29.97, crop, geometry });
  expect(stored).toMatchObject({ fps: 29.97, crop, geometry });
});

test('a change of shapes keeps the classes of zones and the names of directions that it does not speak of', async () => {
  const { cameras, registry } = await directory();
  await cameras.create({
    ...{ id: 'door', url: 'rtsp://192.0.2.1/' },
    geometry: {
      zones: [{ id: 'bay', name: 'Bay', polygon, classes: ['car'] }],
      lines: [{ ...line, a_to_b: 'in', b_to_a: 'out' }],
      masks: [],
    },
  });
  const moved = { ...line, to: { x: 0.5, y: 0.5 } };
  await cameras.update('door', {
    geometry: {
      zones: [
        { id: 'bay', name: 'Loading bay', polygon },
        { id: 'new', name: 'New', polygon },
      ],
      lines: [moved, { ...line, id: 'other', a_to_b: 'up' }],
      masks: [],
    },
  });
  const stored = await registry.get('door');
  expect(stored?.zones.map(({ name, classes }) => [name, classes])).toEqual([
    ['Loading bay', ['car']],
    ['New', []],
  ]);
  expect(stored?.lines.map(({ a_to_b, b_to_a }) => [a_to_b, b_to_a])).toEqual([
    ['in', 'out'],
    ['up', 'B to A'],
  ]);
});
