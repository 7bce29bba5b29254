import { hash } from 'node:crypto';

/** Namespace of our UUIDv5 message ids: a random UUID, fixed for ever, else a redelivered frame would get a new id. */
const namespaceBytes = Buffer.from('7c1d63b2f0a94e0f8a5e3b1d92c47e68', 'hex');

/**
 * The key by which a reader drops repeats: the same frame analysed by the same model has the same id wherever and how often it is made.
 * The camera's name stands last, because it is the one part that could hold the separator.
 */
export function messageId(cameraId: string, epoch: number, frameSeq: number, modelDigest: string): string {
  const name = Buffer.from(`${epoch}/${frameSeq}/${modelDigest}/${cameraId}`, 'utf8');
  const digest = hash('sha1', Buffer.concat([namespaceBytes, name]), 'hex');
  // RFC 9562: the version (5) takes the high four bits of byte 6, the variant (binary 10) the high two bits of byte 8.
  const variant = ((Number.parseInt(digest.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(18, 20)}-${digest.slice(20, 32)}`;
}
