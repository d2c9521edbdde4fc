import { readFileSync } from 'node:fs';
import type { PeerSecurity, PeerTls } from '../../kit/rpc/security.ts';
import type { PeerConfig } from './config.ts';

/** Bytes of a shared key, at least. */
const KEY_BYTES_MIN = 16;

/**
 * How processes of the cluster know each other, read from its files each time that it is asked for: they may be changed while the
 * process runs. Where they cannot be read then, what was read before holds.
 * @throws where they cannot be read the first time, or the settings are not whole
 */
export function peerSecurity(config: PeerConfig): () => PeerSecurity {
  let last = securityIn(config);
  return () => {
    try {
      last = securityIn(config);
    } catch {
      // half-written: the next connection looks again
    }
    return last;
  };
}

function securityIn(config: PeerConfig): PeerSecurity {
  const { keyFile, insecure } = config;
  const tls = tlsIn(config);
  return { ...(keyFile === '' ? {} : { key: keyIn(keyFile) }), ...(tls && { tls }), insecure };
}

function keyIn(file: string): Uint8Array {
  // a line's end is no part of it
  const key = Buffer.from(contents(file, '-server.peer-key-file').trim());
  if (key.length < KEY_BYTES_MIN) {
    throw new Error(`-server.peer-key-file: ${file} has ${key.length} bytes, at least ${KEY_BYTES_MIN} are wanted`);
  }
  return key;
}

function tlsIn({ tlsCertPath, tlsKeyPath, tlsCaPath, tlsServerName }: PeerConfig): PeerTls | undefined {
  const given = {
    '-server.peer-tls-cert-path': tlsCertPath,
    '-server.peer-tls-key-path': tlsKeyPath,
    '-server.peer-tls-ca-path': tlsCaPath,
  };
  const missing = Object.entries(given).filter(([, file]) => file === '');
  if (missing.length === 3) return undefined;
  if (missing.length > 0)
    throw new Error(`${missing.map(([flag]) => flag).join(', ')} is missing: the three go together`);
  return {
    cert: contents(tlsCertPath, '-server.peer-tls-cert-path'),
    key: contents(tlsKeyPath, '-server.peer-tls-key-path'),
    ca: contents(tlsCaPath, '-server.peer-tls-ca-path'),
    ...(tlsServerName === '' ? {} : { serverName: tlsServerName }),
  };
}

function contents(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`${flag}: ${(cause as Error).message}`, { cause });
  }
}
