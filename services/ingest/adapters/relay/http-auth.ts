import { createHash, randomBytes } from 'node:crypto';
import type { CameraCredentials } from '../../core/camera-url.ts';
import type { AuthScheme } from './relay-types.ts';

/** One parsed `WWW-Authenticate` challenge, parameters by lower-case name. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export interface DigestInput {
  readonly username: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  readonly challenge: Challenge;
  readonly clientNonce: string;
  readonly nonceCount: number;
}

type HashName = 'md5' | 'sha256';

/** Splits the values of `WWW-Authenticate` headers; one header may hold several challenges. */
export function parseChallenges(values: readonly string[]): Challenge[] {
  const challenges: Challenge[] = [];
  for (const value of values) {
    let current: { scheme: string; parameters: Map<string, string> } | undefined;
    // A scheme, or name=value with the value quoted or not. Linear: each alternative starts with a token that ends in one way.
    for (const match of value.slice(0, 4096).matchAll(/([\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g)) {
      const [, name = '', quoted, bare] = match;
      if (quoted === undefined && bare === undefined) {
        current = { scheme: name.toLowerCase(), parameters: new Map() };
        challenges.push(current);
      } else {
        current?.parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '');
      }
    }
  }
  return challenges;
}

/** The value of an `Authorization` header by RFC 7616 (and RFC 2069 for challenges without qop, which many cameras send). */
export function digestAuthorization(input: DigestInput): string | undefined {
  const { challenge, username, password, method, uri } = input;
  const algorithm = challenge.parameters.get('algorithm') ?? 'MD5';
  const isSession = /-sess$/i.test(algorithm);
  const hash = hashOf(algorithm);
  const realm = challenge.parameters.get('realm') ?? '';
  const nonce = challenge.parameters.get('nonce');
  const qops = challenge.parameters.get('qop')?.split(',') ?? [];
  const hasAuth = qops.some((qop) => qop.trim().toLowerCase() === 'auth');
  if (hash === undefined || nonce === undefined || (qops.length > 0 && !hasAuth)) return undefined;

  const nc = input.nonceCount.toString(16).padStart(8, '0');
  let ha1 = digest(hash, `${username}:${realm}:${password}`);
  if (isSession) ha1 = digest(hash, `${ha1}:${nonce}:${input.clientNonce}`);
  const ha2 = digest(hash, `${method}:${uri}`);
  const response = digest(
    hash,
    hasAuth ? `${ha1}:${nonce}:${nc}:${input.clientNonce}:auth:${ha2}` : `${ha1}:${nonce}:${ha2}`,
  );

  const parts = [
    `username="${quote(username)}"`,
    `realm="${quote(realm)}"`,
    `nonce="${quote(nonce)}"`,
    `uri="${quote(uri)}"`,
    `response="${response}"`,
  ];
  if (challenge.parameters.has('algorithm')) parts.push(`algorithm=${algorithm}`);
  const opaque = challenge.parameters.get('opaque');
  if (opaque !== undefined) parts.push(`opaque="${quote(opaque)}"`);
  if (hasAuth) parts.push('qop=auth', `nc=${nc}`);
  if (hasAuth || isSession) parts.push(`cnonce="${input.clientNonce}"`);
  return `Digest ${parts.join(', ')}`;
}

export type ChallengeOutcome = 'answer' | 'no-credentials' | 'unsupported' | 'wrong-credentials';

/** Answers the challenges of one camera (RTSP and HTTP alike), the strongest it offers. */
export class Authenticator {
  readonly #credentials: CameraCredentials | null;
  readonly #allowBasic: boolean;
  readonly #clientNonce = randomBytes(16).toString('hex');
  #chosen: Challenge | null = null;
  #nonceCount = 0;

  /** `allowBasic` false: the password would go in clear to somebody whom the user did not name (a redirect). */
  constructor(credentials: CameraCredentials | null, allowBasic: boolean) {
    this.#credentials = credentials;
    this.#allowBasic = allowBasic;
  }

  get scheme(): AuthScheme {
    switch (this.#chosen?.scheme) {
      case 'digest':
        return 'digest';
      case 'basic':
        return 'basic';
      default:
        return 'none';
    }
  }

  /** Headers to send with a request; empty before the first challenge. */
  headersFor(method: string, uri: string): Record<string, string> {
    if (this.#chosen === null || this.#credentials === null) return {};
    const { username, password } = this.#credentials.reveal();
    if (this.#chosen.scheme === 'basic') {
      return { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
    }
    this.#nonceCount += 1;
    const header = digestAuthorization({
      username,
      password,
      method,
      uri,
      challenge: this.#chosen,
      clientNonce: this.#clientNonce,
      nonceCount: this.#nonceCount,
    });
    return header === undefined ? {} : { Authorization: header };
  }

  /** Takes a 401. 'answer': send the request again; anything else: there is nothing more to try. */
  takeChallenge(values: readonly string[]): ChallengeOutcome {
    if (this.#credentials === null) return 'no-credentials';
    const best = this.#pick(parseChallenges(values));
    if (best === undefined) return 'unsupported';
    const previous = this.#chosen;
    // The same password against the same kind of challenge was refused, unless only the nonce was too old.
    if (previous?.scheme === best.scheme && !isStale(best) && !hasNewNonce(previous, best)) return 'wrong-credentials';
    this.#chosen = best;
    this.#nonceCount = 0;
    return 'answer';
  }

  #pick(challenges: readonly Challenge[]): Challenge | undefined {
    const digests = challenges.filter(isUsableDigest);
    return (
      digests.find((challenge) => hashOf(challenge.parameters.get('algorithm') ?? 'MD5') === 'sha256') ??
      digests[0] ??
      (this.#allowBasic ? challenges.find((challenge) => challenge.scheme === 'basic') : undefined)
    );
  }
}

function isUsableDigest(challenge: Challenge): boolean {
  const probe = { username: '', password: '', method: '', uri: '', clientNonce: '', nonceCount: 1, challenge };
  return challenge.scheme === 'digest' && digestAuthorization(probe) !== undefined;
}

function isStale(challenge: Challenge): boolean {
  return challenge.parameters.get('stale')?.toLowerCase() === 'true';
}

/** Cameras with one-time nonces send a new one without `stale`; whoever calls bounds the number of tries. */
function hasNewNonce(previous: Challenge, next: Challenge): boolean {
  return next.scheme === 'digest' && previous.parameters.get('nonce') !== next.parameters.get('nonce');
}

function hashOf(algorithm: string): HashName | undefined {
  switch (algorithm.toLowerCase().replace(/-sess$/, '')) {
    case 'md5':
      return 'md5';
    case 'sha-256':
      return 'sha256';
    default:
      return undefined;
  }
}

function digest(hash: HashName, text: string): string {
  return createHash(hash).update(text).digest('hex');
}

function quote(text: string): string {
  return text.replace(/["\\]/g, '\\$&');
}
