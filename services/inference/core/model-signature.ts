import { createPrivateKey, createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import { AppError } from '#shared/core/errors';

/** What a signature speaks of: the manifest to the byte, with it the sha256 of the model file, and the labels that it may name by a file. */
export interface SignedModel {
  readonly manifestText: string;
  readonly labels: readonly string[];
}

/** The first line of a signature, so that a later form can be told from this one. */
const form = 'sightline-model-signature-1';

/** Reads an Ed25519 key as `openssl` writes it (PEM). Throws SIGHTLINE_CONFIG_INVALID, which never tells of the key. */
export function parseSigningKey(pem: string, kind: 'public' | 'private', from: string): KeyObject {
  try {
    const key = kind === 'public' ? createPublicKey(pem) : createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below: what the library says of a key may hold a piece of it.
  }
  throw new AppError('SIGHTLINE_CONFIG_INVALID', `${from} does not hold an Ed25519 ${kind} key in PEM form`);
}

/** The text of the file that lies beside the manifest. */
export function signModel(model: SignedModel, privateKey: KeyObject): string {
  return `${form}\n${sign(null, messageOf(model), privateKey).toString('base64')}\n`;
}

/** Whether this key made this signature of just this model. */
export function isSignedBy(model: SignedModel, signatureText: string, publicKey: KeyObject): boolean {
  const [first, encoded = '', ...rest] = signatureText.trimEnd().split(/\r?\n/);
  if (first !== form || rest.length > 0) return false;
  return verify(null, messageOf(model), publicKey, Buffer.from(encoded, 'base64'));
}

function messageOf({ manifestText, labels }: SignedModel): Buffer {
  const parts = [form, hash('sha256', manifestText, 'hex'), hash('sha256', JSON.stringify(labels), 'hex')];
  return Buffer.from(parts.join('\n'));
}
