import type { Clock } from '#shared/core/clock';
import type { SettingsSchema } from '#shared/core/check-schema';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Role } from '../../services/control/core/access.ts';
import type { JwtIdentity } from '../../services/control/adapters/jose/jwt-identity.ts';

export const oidcSettings = {
  type: 'object',
  required: ['issuer', 'audience', 'roles'],
  properties: {
    issuer: { type: 'string', minLength: 1, description: 'Issuer of the tokens, as it stands in them.' },
    audience: {
      type: 'string',
      minLength: 1,
      description: 'Whom the tokens are made for: the name of this API there.',
    },
    jwks_url: {
      type: 'string',
      minLength: 1,
      description: 'Where its keys are. Default: as its openid-configuration says.',
    },
    role_claim: {
      type: 'string',
      minLength: 1,
      default: 'roles',
      description: 'Claim with roles or groups; with dots for one within another: realm_access.roles.',
    },
    roles: {
      type: 'object',
      minProperties: 1,
      additionalProperties: { enum: ['viewer', 'operator', 'admin'] },
      description: 'What a value of that claim is here: sightline-admins: admin.',
    },
    cameras_claim: {
      type: 'string',
      minLength: 1,
      description: 'Claim with the ids of cameras, * for all. Without this setting every token covers all cameras.',
    },
    name_claim: {
      type: 'string',
      minLength: 1,
      default: 'email',
      description: 'What people are called in the audit log.',
    },
    clock_skew_s: {
      type: 'number',
      minimum: 0,
      maximum: 300,
      default: 30,
      description: 'How far the clocks of issuer and API may be apart.',
    },
  },
  description: 'Tokens of an OIDC issuer are taken beside our own.',
} as const satisfies SettingsSchema;

export interface OidcSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks_url?: string;
  readonly role_claim: string;
  readonly roles: Readonly<Record<string, Role>>;
  readonly cameras_claim?: string;
  readonly name_claim: string;
  readonly clock_skew_s: number;
}

/** Undefined where none is configured. Throws SIGHTLINE_CONFIG_INVALID for an issuer that cannot be trusted. */
export async function openIdentity(
  settings: OidcSettings | undefined,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<JwtIdentity | undefined> {
  if (settings === undefined) return undefined;
  const { createJwtIdentity, mayBeAsked } = await import('../../services/control/adapters/jose/jwt-identity.ts');
  const { issuer, audience, jwks_url: jwksUrl, cameras_claim: camerasClaim } = settings;
  for (const [name, url] of [
    ['oidc.issuer', jwksUrl === undefined ? issuer : undefined],
    ['oidc.jwks_url', jwksUrl],
  ] as const) {
    if (url !== undefined && !mayBeAsked(url))
      throw new AppError(
        'SIGHTLINE_CONFIG_INVALID',
        `${name} must be an https:// address, or an http:// one of this machine`,
      );
  }
  const identity = createJwtIdentity({
    ...{ issuer, audience, clock, logger, clockSkewS: settings.clock_skew_s },
    ...{ roleClaim: settings.role_claim, roles: settings.roles, nameClaim: settings.name_claim },
    ...(jwksUrl === undefined ? {} : { jwksUrl }),
    ...(camerasClaim === undefined ? {} : { camerasClaim }),
  });
  identity.start();
  return identity;
}
