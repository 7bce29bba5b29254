import { expect, test } from 'vitest';
import { messageId } from '#shared/core/message-id';

test('is a UUID of version 5 and never changes for the same frame and model', () => {
  const id = messageId('front', 3, 17, 'abc');
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  // Written down: a change of this value is a break for every reader that drops repeats.
  expect(id).toBe('5f958597-fb37-5527-bb0a-a519189bbd5d');
});

test('differs when camera, epoch, frame or model differ, also where their texts run together', () => {
  const ids = [
    messageId('a', 1, 11, 'm'),
    messageId('a', 11, 1, 'm'),
    messageId('1/m/a', 1, 1, 'm'),
    messageId('a', 1, 1, 'm'),
    messageId('a', 1, 11, 'n'),
    messageId('b', 1, 11, 'm'),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});
