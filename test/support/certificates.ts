import { execFile } from 'node:child_process';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ellipticKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export interface TestCertificates {
  /** The authority that vouches for the server. */
  readonly caFile: string;
  /** An authority that does not. */
  readonly strangerCaFile: string;
  /** Key and certificates of a server at 127.0.0.1, in one PEM file. */
  readonly keystoreFile: string;
}

/** Makes certificates that are good for a day, by openssl. */
export async function makeCertificates(folder: string): Promise<TestCertificates> {
  const at = (name: string): string => join(folder, name);
  const authority = (name: string) =>
    run('openssl', [
      ...['req', '-x509', ...ellipticKey, '-days', '1', '-subj', `/CN=${name}`],
      ...['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)],
    ]);
  await Promise.all([authority('authority'), authority('stranger')]);
  await run('openssl', [
    ...['req', ...ellipticKey, '-subj', '/CN=broker', '-keyout', at('server.key'), '-out', at('server.csr')],
  ]);
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  await run('openssl', [
    ...['x509', '-req', '-in', at('server.csr'), '-days', '1', '-extfile', at('names'), '-CAcreateserial'],
    ...['-CA', at('authority.pem'), '-CAkey', at('authority.key'), '-out', at('server.pem')],
  ]);
  await writeFile(at('keystore.pem'), await readFile(at('server.key')));
  for (const part of ['server.pem', 'authority.pem']) await appendFile(at('keystore.pem'), await readFile(at(part)));
  return { caFile: at('authority.pem'), strangerCaFile: at('stranger.pem'), keystoreFile: at('keystore.pem') };
}
