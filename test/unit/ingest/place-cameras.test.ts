import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placeCameras } from '../../../services/ingest/core/place-cameras.ts';

const names = (prefix: string) =>
  fc.integer({ min: 1, max: 40 }).map((count) => Array.from({ length: count }, (_, index) => `${prefix}${index}`));

test('every camera has an owner, and owners have equal numbers to within what cannot be shared', () => {
  fc.assert(
    fc.property(names('camera'), names('ingest'), (cameras, owners) => {
      const plan = placeCameras(cameras, owners);
      expect([...plan.keys()].sort()).toEqual(cameras.toSorted());
      const counts = owners.map((owner) => [...plan.values()].filter((of) => of === owner).length);
      expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(cameras.length / owners.length));
    }),
  );
});

test('the plan is the same for everybody, in whatever order they know of each other', () => {
  const [cameras, owners] = [
    ['a', 'b', 'c', 'd', 'e'],
    ['x', 'y'],
  ];
  expect(placeCameras(cameras.toReversed(), owners.toReversed())).toEqual(placeCameras(cameras, owners));
});

test('nobody there, nothing placed', () => {
  expect(placeCameras(['a'], [])).toEqual(new Map());
});

test('an owner that comes takes its share, and most cameras stay where they are', () => {
  const cameras = Array.from({ length: 100 }, (_, index) => `camera${index}`);
  const before = placeCameras(cameras, ['x', 'y', 'z']);
  const after = placeCameras(cameras, ['x', 'y', 'z', 'new']);
  const moved = cameras.filter((camera) => before.get(camera) !== after.get(camera));
  expect(moved.length).toBeLessThan(60);
  expect(cameras.filter((camera) => after.get(camera) === 'new')).toHaveLength(25);
});
