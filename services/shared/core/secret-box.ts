import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { AppError } from './errors.ts';

/** Seals what must not be read where it is stored. */
export interface SecretBox {
  /** Text that only the same key opens, and only with the same `boundTo`: copied to another camera it is worth nothing. */
  seal(secret: string, boundTo: string): string;
  /** Throws SIGHTLINE_SECRET_UNREADABLE. */
  open(sealed: string, boundTo: string): string;
}

export const secretKeyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM. A sealed text is `v1.<first 8 digits of the key's hash>.<base64url of nonce, ciphertext, tag>`. */
export function createSecretBox(key: Uint8Array): SecretBox {
  if (key.byteLength !== secretKeyBytes) {
    throw new AppError('SIGHTLINE_SECRET_KEY_INVALID', `the key has ${key.byteLength} bytes and not ${secretKeyBytes}`);
  }
  const keyId = createHash('sha256').update('sightline key id').update(key).digest('hex').slice(0, 8);
  return {
    seal(secret, boundTo) {
      // 96 random bits: two the same are not to be feared below 2^32 sealed texts.
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(Buffer.from(boundTo));
      const bytes = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `v1.${keyId}.${bytes.toString('base64url')}`;
    },
    open(sealed, boundTo) {
      const [version, sealedWith, text] = sealed.split('.');
      const bytes = Buffer.from(text ?? '', 'base64url');
      if (version !== 'v1' || bytes.byteLength < nonceBytes + tagBytes) throw unreadable(boundTo, 'they are damaged');
      if (sealedWith !== keyId) throw unreadable(boundTo, 'they were sealed with another key');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(boundTo));
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString();
      } catch {
        throw unreadable(boundTo, 'they were changed, or belong to another camera');
      }
    },
  };
}

function unreadable(boundTo: string, reason: string): AppError {
  return new AppError(
    'SIGHTLINE_SECRET_UNREADABLE',
    `the credentials of camera ${boundTo} cannot be opened: ${reason}`,
  );
}
