import { describe, expect, test } from 'vitest';
import { isCidr, judgeAddress } from '../../../services/ingest/core/address-policy.ts';

const isAllowed = (ip: string, policy = {}): boolean => judgeAddress(ip, policy).allowed;

describe('judgeAddress', () => {
  test.each([
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '::169.254.169.254',
    'fd00:ec2::254',
    '169.254.1.1',
    'fe80::1',
    'fe80::1%eth0',
    '224.0.0.1',
    '239.255.255.250',
    'ff02::1',
    '255.255.255.255',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '::ffff:0.0.0.0',
    'not an address',
    '1.2.3',
    '1:2:3',
    '1::2::3',
    '',
  ])('refuses %s', (ip) => {
    expect(isAllowed(ip)).toBe(false);
  });

  test.each([
    '8.8.8.8',
    '2001:db8::1',
    '10.0.0.1',
    '192.168.1.64',
    'fd12::1',
    '127.0.0.1',
    '::1',
    '::ffff:192.168.1.2',
  ])('allows %s as it is', (ip) => {
    expect(isAllowed(ip)).toBe(true);
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])(
    'refuses the loopback address %s when told',
    (ip) => {
      expect(isAllowed(ip, { denyLoopback: true })).toBe(false);
    },
  );

  test.each(['10.1.2.3', '172.31.0.1', '192.168.0.1', '100.64.0.1', 'fd00::1', '::ffff:10.0.0.1'])(
    'refuses the private address %s when told',
    (ip) => {
      expect(isAllowed(ip, { denyPrivate: true })).toBe(false);
    },
  );

  test('lets the allow list win over every other rule', () => {
    expect(isAllowed('10.1.2.3', { denyPrivate: true, allow: ['10.1.0.0/16'] })).toBe(true);
    expect(isAllowed('10.2.2.3', { denyPrivate: true, allow: ['10.1.0.0/16'] })).toBe(false);
    expect(isAllowed('fe80::1', { allow: ['fe80::1'] })).toBe(true);
  });

  test('keeps to the only list where there is one', () => {
    expect(isAllowed('8.8.8.8', { only: ['192.168.0.0/16'] })).toBe(false);
    expect(isAllowed('192.168.3.4', { only: ['192.168.0.0/16'] })).toBe(true);
    expect(isAllowed('::ffff:192.168.3.4', { only: ['192.168.0.0/16'] })).toBe(true);
    expect(isAllowed('169.254.169.254', { only: ['0.0.0.0/0'] })).toBe(false);
  });
});

test('tells a CIDR from what is none', () => {
  expect(['10.0.0.0/8', '::/0', '1.2.3.4', '10.0.0.0/33', 'x/8', '1.2.3.4/', '1.2.3.4/8/9'].map(isCidr)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
