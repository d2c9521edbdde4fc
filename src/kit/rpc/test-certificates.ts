import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultsOf, section } from '../config/section.ts';
import { peerSecurityFields } from './config.ts';
import type { PeerFiles } from './credentials.ts';

/** Settings of a process without key and certificates. */
export const noPeerFiles = defaultsOf(section('server', '', peerSecurityFields));

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
/** Why tests that make certificates are skipped; false: they are not. */
export const skipsCertificates = hasOpenssl ? false : 'openssl is not installed';

const KEY_FORM = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Authorities and certificates as files of a folder: `NAME.pem` and `NAME.key`. */
export class TestCertificates {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  makeAuthority(name: string): void {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
    this.#openssl('req', '-x509', ...KEY_FORM, '-days', '2', '-subj', `/CN=${name}`, ...files);
  }

  makeCertificate(name: string, authority: string, host = 'IP:127.0.0.1'): void {
    writeFileSync(join(this.#dir, 'host.txt'), `subjectAltName=${host}`);
    this.#openssl('req', ...KEY_FORM, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const signed = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', '2'];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-extfile', 'host.txt', '-out', `${name}.pem`);
  }

  /** Settings of a process with a certificate. */
  files(name: string, authority: string): PeerFiles {
    return {
      ...noPeerFiles,
      peerTlsCertPath: join(this.#dir, `${name}.pem`),
      peerTlsKeyPath: join(this.#dir, `${name}.key`),
      peerTlsCaPath: join(this.#dir, `${authority}.pem`),
    };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#dir, stdio: 'ignore' });
  }
}
