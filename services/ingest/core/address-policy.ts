/** Which addresses a camera may have. Link-local, metadata, multicast and unspecified ones are always refused unless `allow` names them. */
export interface AddressPolicy {
  /** Refuse 127.0.0.0/8 and ::1. Default false: on one machine a camera may well be a local restreamer. */
  readonly denyLoopback?: boolean;
  /** Refuse RFC 1918, shared (100.64/10) and unique-local addresses. Default false: cameras live there. */
  readonly denyPrivate?: boolean;
  /** CIDRs that are allowed whatever the rules above say. */
  readonly allow?: readonly string[];
  /** When given and not empty, every address outside these CIDRs is refused. */
  readonly only?: readonly string[];
}

export type AddressVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

interface Range {
  readonly base: bigint;
  readonly prefixBits: number;
}

type AddressKind = 'link-local' | 'metadata' | 'multicast' | 'unspecified' | 'loopback' | 'private';

/** All as IPv6; IPv4 ranges are written mapped, because every IPv4 address is judged in that form. First match wins. */
const kinds: readonly (readonly [AddressKind, readonly string[]])[] = [
  ['metadata', ['169.254.169.254/32', '169.254.170.2/32', '100.100.100.200/32', 'fd00:ec2::254/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  ['multicast', ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8']],
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']],
];
/** Ways in which IPv6 carries an IPv4 address: mapped, compatible, NAT64, 6to4. Judged by the IPv4 address within. */
const mappedPrefix = 0xffffn << 32n;
const nat64Prefix = 0x64ff9bn << 96n;

const kindRanges = kinds.map(([kind, cidrs]) => [kind, cidrs.map(requireRange)] as const);

/** Judges one resolved IP address (text as dns gives it, zone allowed). */
export function judgeAddress(ip: string, policy: AddressPolicy = {}): AddressVerdict {
  const parsed = parseIp(ip);
  if (parsed === undefined) return { allowed: false, reason: 'not an IP address' };
  const address = unwrapEmbedded(parsed);
  if (policy.allow?.some((cidr) => isWithin(address, cidr)) === true) return { allowed: true };
  if (policy.only !== undefined && policy.only.length > 0 && !policy.only.some((cidr) => isWithin(address, cidr))) {
    return { allowed: false, reason: 'the address is outside the allowed ranges' };
  }
  const kind = kindRanges.find(([, ranges]) => ranges.some((range) => contains(range, address)))?.[0];
  switch (kind) {
    case undefined:
      return { allowed: true };
    case 'loopback':
      return policy.denyLoopback === true ? refused(kind) : { allowed: true };
    case 'private':
      return policy.denyPrivate === true ? refused(kind) : { allowed: true };
    case 'metadata':
    case 'link-local':
    case 'multicast':
    case 'unspecified':
      return refused(kind);
  }
}

/** Whether the text is a CIDR (or a single address) that the policy understands; for checking settings. */
export function isCidr(text: string): boolean {
  return parseRange(text) !== undefined;
}

function refused(kind: AddressKind): AddressVerdict {
  return { allowed: false, reason: `${kind} addresses are not allowed` };
}

function isWithin(address: bigint, cidr: string): boolean {
  const range = parseRange(cidr);
  return range !== undefined && contains(range, address);
}

function contains(range: Range, address: bigint): boolean {
  const shift = BigInt(128 - range.prefixBits);
  return address >> shift === range.base >> shift;
}

function requireRange(cidr: string): Range {
  const range = parseRange(cidr);
  if (range === undefined) throw new Error(`bad CIDR ${cidr}`);
  return range;
}

function parseRange(cidr: string): Range | undefined {
  const [ip = '', bits, ...more] = cidr.split('/');
  const base = parseIp(ip);
  if (base === undefined || more.length > 0) return undefined;
  const isIpv4 = !ip.includes(':');
  const width = isIpv4 ? 32 : 128;
  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) return undefined;
  const prefixBits = bits === undefined ? width : Number(bits);
  if (prefixBits > width) return undefined;
  return { base, prefixBits: isIpv4 ? prefixBits + 96 : prefixBits };
}

/** An IPv4 or IPv6 address as a 128-bit number, IPv4 in its mapped form. */
function parseIp(text: string): bigint | undefined {
  const withoutZone = text.split('%', 1)[0] ?? '';
  if (!withoutZone.includes(':')) {
    const ipv4 = parseIpv4(withoutZone);
    return ipv4 === undefined ? undefined : mappedPrefix | ipv4;
  }
  return parseIpv6(withoutZone);
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const known = head.length + (tail?.length ?? 0);
  if (halves.length === 1 ? known !== 8 : known > 7) return undefined;
  const groups = [...head, ...Array<bigint>(8 - known).fill(0n), ...(tail ?? [])];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function parseGroups(text: string): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  for (const part of text.split(':')) {
    if (part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (ipv4 === undefined) return undefined;
      groups.push(ipv4 >> 16n, ipv4 & 0xffffn);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

function unwrapEmbedded(address: bigint): bigint {
  const low = address & 0xffffffffn;
  const high = address >> 32n;
  // ::a.b.c.d, but not :: and ::1, which are addresses of their own.
  if (high === 0n && low > 1n) return mappedPrefix | low;
  if (high << 32n === nat64Prefix) return mappedPrefix | low;
  if (address >> 112n === 0x2002n) return mappedPrefix | ((address >> 80n) & 0xffffffffn);
  return address;
}
