import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface OidcIssuer {
  readonly url: string;
  /** How often its keys were asked for. */
  keysAsked(): number;
  /** Signs with the newest key; a claim that is undefined is left out. */
  sign(
    claims?: Readonly<Record<string, unknown>>,
    options?: { readonly key?: CryptoKey; readonly kid?: string },
  ): Promise<string>;
  /** A new key takes the place of the old one. */
  rotate(): Promise<void>;
  /** While false it answers with errors. */
  isUp: boolean;
  close(): Promise<void>;
}

export const audience = 'sightline';

/** An issuer on loopback with keys of its own, as OIDC describes one. */
export async function startOidcIssuer({ isUp = true }: { readonly isUp?: boolean } = {}): Promise<OidcIssuer> {
  let asked = 0;
  let made = 0;
  let current = await makeKey();
  async function makeKey(): Promise<{ readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: JWK }> {
    const kid = `key-${++made}`;
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
  }
  const server = createServer((request, response) => {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server that listens
    if (request.url === '/keys') asked++;
    const body = request.url === '/keys' ? { keys: [current.jwk] } : { issuer: base, jwks_uri: `${base}/keys` };
    response.writeHead(issuer.isUp ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // as above
  const issuer: OidcIssuer = {
    ...{ url, isUp, keysAsked: () => asked },
    sign(claims = {}, { key = current.privateKey, kid = current.kid } = {}) {
      const nowS = Math.floor(Date.now() / 1000);
      const usual = { iss: url, aud: audience, sub: 'u-1', email: 'ann@example.org', iat: nowS, exp: nowS + 300 };
      return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);
    },
    async rotate() {
      current = await makeKey();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return issuer;
}
