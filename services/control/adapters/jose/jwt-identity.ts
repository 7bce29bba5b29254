import { createLocalJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Principal } from '../../core/access.ts';
import { principalOf, type ClaimRules, type IdentityProvider } from '../../core/identity.ts';

export interface JwtIdentityOptions extends ClaimRules {
  /** As the tokens have it, to the letter. */
  readonly issuer: string;
  readonly audience: string;
  /** Where the keys are. Default: what the issuer's /.well-known/openid-configuration says. */
  readonly jwksUrl?: string;
  readonly clockSkewS: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface JwtIdentity extends IdentityProvider {
  /** Begins to fetch the keys, and keeps at it; resolves at once. */
  start(): void;
  close(): Promise<void>;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Of asymmetric keys only: with a shared secret whoever checks tokens could make them. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const fetchTimeoutMs = 5_000;
/** Issuers bring new keys hours before they use them. */
const refreshMs = 10 * 60_000;
const retryMs = 2_000;
/** A key that is not known may be new; and whoever makes tokens up is not to have us ask all the time. */
const askAgainMs = 10_000;
const maxAnswerBytes = 1024 * 1024;

/**
 * Verifies JWTs of an issuer by its published keys (OIDC, or any JWKS). Keys that are known hold while the issuer is away; new ones are
 * fetched when a token names one that is not known.
 */
export function createJwtIdentity(options: JwtIdentityOptions): JwtIdentity {
  const { issuer, audience, clock, logger, clockSkewS } = options;
  const stopping = new AbortController();
  let keys: KeySet | undefined;
  let trouble = 'they were not fetched yet';
  let fetching: Promise<void> | undefined;
  let askedMs = -Infinity;
  let working: Promise<void> | undefined;

  /** One at a time; never rejects. */
  function fetchKeys(): Promise<void> {
    askedMs = clock.monotonicMs();
    return (fetching ??= readKeys(options, stopping.signal)
      .then(
        (found) => {
          if (keys === undefined) logger.info({ issuer }, 'the keys of the issuer are known');
          keys = found;
          trouble = '';
        },
        (thrown: unknown) => {
          if (stopping.signal.aborted) return;
          const reason = toAppError(thrown).message;
          if (reason !== trouble) logger.warn({ issuer, reason }, 'the keys of the issuer cannot be fetched');
          trouble = reason;
        },
      )
      .finally(() => (fetching = undefined)));
  }

  async function keepFresh(): Promise<void> {
    while (!stopping.signal.aborted) {
      await fetchKeys();
      await clock.sleep(trouble === '' ? refreshMs : retryMs, stopping.signal).catch(() => undefined);
    }
  }

  async function verify(token: string): Promise<JWTPayload> {
    if (keys === undefined) {
      throw new AppError('SIGHTLINE_IDENTITY_UNREACHABLE', `the keys of ${issuer} are not known: ${trouble}`, {
        retryable: true,
      });
    }
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms, clockTolerance: clockSkewS, requiredClaims: ['exp', 'sub'] },
      currentDate: new Date(clock.nowUs() / 1000),
    });
    return payload;
  }

  return {
    get waitsFor() {
      return keys === undefined ? `the keys of ${issuer}: ${trouble}` : undefined;
    },
    async identify(token): Promise<Principal> {
      let claims: JWTPayload;
      try {
        claims = await verify(token).catch(async (error: unknown) => {
          const isUnknownKey = error instanceof errors.JWKSNoMatchingKey;
          if (!isUnknownKey || clock.monotonicMs() - askedMs < askAgainMs) throw error;
          await fetchKeys();
          return verify(token);
        });
      } catch (error) {
        throw refusalOf(error);
      }
      return principalOf(claims, options);
    },
    start() {
      working ??= keepFresh();
    },
    async close() {
      stopping.abort();
      await working;
    },
  };
}

/** What is wrong with it, without any of it: claims are about somebody, and the token is a secret. */
function refusalOf(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const refused = (message: string): AppError => new AppError('SIGHTLINE_JWT_INVALID', message, { cause: error });
  if (error instanceof errors.JWTExpired)
    return new AppError('SIGHTLINE_JWT_EXPIRED', 'the token has expired', { cause: error });
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(
      `its claim ${error.claim} is ${error.reason === 'missing' ? 'missing' : 'not what is asked for here'}`,
    );
  if (error instanceof errors.JWKSNoMatchingKey) return refused('the issuer has no such key');
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('its signature is wrong');
  if (error instanceof errors.JOSEAlgNotAllowed) return refused('its algorithm is not allowed');
  return refused('it is no JWT that can be verified');
}

async function readKeys({ issuer, jwksUrl }: JwtIdentityOptions, signal: AbortSignal): Promise<KeySet> {
  const url = jwksUrl ?? (await jwksUrlOf(issuer, signal));
  const jwks = await readJson(url, signal);
  // It checks what it is given, and throws.
  return createLocalJWKSet(jwks as unknown as Parameters<typeof createLocalJWKSet>[0]);
}

async function jwksUrlOf(issuer: string, signal: AbortSignal): Promise<string> {
  const found = await readJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
  const { issuer: itself, jwks_uri: url } = found;
  if (itself !== issuer) throw new Error('its openid-configuration is of another issuer');
  if (typeof url !== 'string' || !mayBeAsked(url)) throw new Error('its openid-configuration names no keys over https');
  return url;
}

/** Keys that came in the clear are anybody's; on this machine nobody is in between. */
export function mayBeAsked(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = ['127.0.0.1', '[::1]', 'localhost'].includes(url?.hostname ?? '');
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isHere);
}

async function readJson(url: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]),
  }).catch((error: unknown) => {
    const cause = error instanceof Error ? error.cause : undefined;
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new Error(`${url} does not answer${code}`, { cause: error });
  });
  const text = answer.ok ? await textOf(answer) : undefined;
  if (text === undefined) throw new Error(`${url} answers with status ${answer.status}`);
  const body: unknown = JSON.parse(text);
  if (typeof body !== 'object' || body === null) throw new Error(`${url} answers with something else`);
  return body as Readonly<Record<string, unknown>>; // every JSON object is a record of unknown values
}

async function textOf(answer: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of answer.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    if (text.length > maxAnswerBytes) throw new Error('the answer is too large');
  }
  return text;
}
