import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import type { ServerConfig } from './config.ts';

/**
 * Options with which a listener speaks TLS; undefined: it speaks plain HTTP.
 * @throws what is configured by half or cannot be read, with the setting's name
 */
export function tlsOptions(config: ServerConfig): TlsOptions | undefined {
  const { httpTlsCertPath: certPath, httpTlsKeyPath: keyPath, httpTlsCaPath: caPath, httpTlsClientAuth } = config;
  if (certPath === '' && keyPath === '') {
    if (caPath !== '') throw missing('-server.http-tls-cert-path', '-server.http-tls-ca-path is set');
    if (httpTlsClientAuth !== 'none') {
      throw missing('-server.http-tls-cert-path', `-server.http-tls-client-auth is ${httpTlsClientAuth}`);
    }
    return undefined;
  }
  if (certPath === '') throw missing('-server.http-tls-cert-path', '-server.http-tls-key-path is set');
  if (keyPath === '') throw missing('-server.http-tls-key-path', '-server.http-tls-cert-path is set');
  // without authorities of one's own those that Node brings along would do
  if (httpTlsClientAuth !== 'none' && caPath === '') {
    throw missing('-server.http-tls-ca-path', `-server.http-tls-client-auth is ${httpTlsClientAuth}`);
  }
  if (httpTlsClientAuth === 'none' && caPath !== '') {
    throw new Error(
      '-server.http-tls-client-auth is none, so nobody is checked against -server.http-tls-ca-path; set it to require or request',
    );
  }
  const own: SecureContextOptions = {
    cert: readPem(certPath, '-server.http-tls-cert-path', /-----BEGIN (TRUSTED )?CERTIFICATE-----/),
    key: readPem(keyPath, '-server.http-tls-key-path', /-----BEGIN [A-Z ]*PRIVATE KEY-----/),
  };
  const ca =
    caPath === '' ? undefined : readPem(caPath, '-server.http-tls-ca-path', /-----BEGIN (TRUSTED )?CERTIFICATE-----/);
  usable(own, '-server.http-tls-cert-path, -server.http-tls-key-path');
  if (ca !== undefined) usable({ ca }, '-server.http-tls-ca-path');
  return {
    ...own,
    ...(ca && { ca }),
    requestCert: httpTlsClientAuth !== 'none',
    rejectUnauthorized: httpTlsClientAuth === 'require',
    minVersion: 'TLSv1.2',
    handshakeTimeout: config.httpHeaderTimeoutMs,
  };
}

function readPem(file: string, flag: string, holds: RegExp): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`${flag}: ${(cause as Error).message}`, { cause });
  }
  if (!holds.test(text)) throw new Error(`${flag}: ${file} holds nothing of the kind in PEM`);
  return text;
}

function usable(context: SecureContextOptions, flags: string): void {
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new Error(`${flags}: ${(cause as Error).message}`, { cause });
  }
}

function missing(flag: string, why: string): Error {
  return new Error(`${flag} is missing: ${why}`);
}
