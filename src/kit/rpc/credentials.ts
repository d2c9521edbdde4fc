import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../observe/log.ts';
import type { Loops } from '../service/loops.ts';
import type { PeerSecurity } from './security.ts';

/** Where key and certificates lie, by the names of their settings (`peerSecurityFields`). Empty: there is none. */
export interface PeerFiles {
  readonly peerKeyFile: string;
  readonly peerTlsCertPath: string;
  readonly peerTlsKeyPath: string;
  readonly peerTlsCaPath: string;
  readonly peerTlsServerName: string;
  readonly peerInsecure: boolean;
}

const KEY_CHARS_MIN = 32;
const REFRESH_MS = 30_000;

/**
 * Key and certificates of this process, read from their files. Plain data goes in and out, so each thread that connects has its own.
 *
 *     const credentials = PeerCredentials.read(config.server);
 *     const server = new RpcServer({ security: () => credentials.current, … });
 *     credentials.watch(clock, loops, log, () => server.securityChanged());
 */
export class PeerCredentials {
  readonly #files: PeerFiles;
  current: PeerSecurity;

  private constructor(files: PeerFiles) {
    this.#files = files;
    this.current = readSecurity(files);
  }

  /** @throws what is set by half or cannot be read, with the setting's name */
  static read(files: PeerFiles): PeerCredentials {
    return new PeerCredentials(files);
  }

  /** Reads the files again. @returns whether anything is another @throws as `read`; the state stays as it was */
  refresh(): boolean {
    const now = readSecurity(this.#files);
    if (textOf(now) === textOf(this.current)) return false;
    this.current = now;
    return true;
  }

  /**
   * Reads the files again every half a minute until it is cancelled; what is wrong is logged, and the state stays as it was.
   *
   * @param loops told of each round, where there are files
   */
  watch(clock: Clock, loops: Loops, log: Logger, changed: () => void = () => {}): Timer {
    const { peerKeyFile, peerTlsCertPath } = this.#files;
    const hasFiles = peerKeyFile !== '' || peerTlsCertPath !== '';
    const loop = hasFiles ? loops.add('peer-certificates', REFRESH_MS) : undefined;
    return clock.every(REFRESH_MS, () => {
      const end = loop?.begin();
      try {
        if (!this.refresh()) return;
        log.info('key and certificates of the cluster were read again');
        changed();
      } catch (error) {
        loop?.failed(error);
        log.error({ err: (error as Error).message }, 'key and certificates of the cluster stay as they were');
      } finally {
        end?.();
      }
    });
  }
}

function textOf({ keys = [], tls }: PeerSecurity): string {
  return JSON.stringify([keys.map((key) => [...key]), tls]);
}

function readSecurity(files: PeerFiles): PeerSecurity {
  const { peerKeyFile, peerTlsCertPath, peerTlsKeyPath, peerTlsCaPath, peerTlsServerName, peerInsecure } = files;
  const keys = peerKeyFile === '' ? undefined : keysOf(peerKeyFile);
  const paths = {
    '-server.peer-tls-cert-path': peerTlsCertPath,
    '-server.peer-tls-key-path': peerTlsKeyPath,
    '-server.peer-tls-ca-path': peerTlsCaPath,
  };
  const set = Object.values(paths).filter((path) => path !== '');
  if (set.length === 0) {
    if (peerTlsServerName !== '') {
      throw new Error('-server.peer-tls-server-name is set, and no certificates (-server.peer-tls-cert-path)');
    }
    return { keys, insecure: peerInsecure };
  }
  const [cert, key, ca] = Object.entries(paths).map(([flag, path]) => {
    if (path === '') throw new Error(`${flag} is missing: certificate, key and authorities go together`);
    return readText(path, flag);
  });
  const tls = { cert: cert!, key: key!, ca: ca!, ...(peerTlsServerName !== '' && { serverName: peerTlsServerName }) };
  try {
    createSecureContext({ cert: tls.cert, key: tls.key, ca: tls.ca });
  } catch (cause) {
    throw new Error(`${Object.keys(paths).join(', ')}: ${(cause as Error).message}`, { cause });
  }
  return { keys, tls, insecure: peerInsecure };
}

function keysOf(path: string): readonly Uint8Array[] {
  const lines = readText(path, '-server.peer-key-file')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const short = lines.find(({ length }) => length < KEY_CHARS_MIN);
  if (lines.length === 0 || short !== undefined) {
    throw new Error(
      `-server.peer-key-file: ${path} has ${short === undefined ? 'no key' : `a key of ${short.length} characters`}; at least ${KEY_CHARS_MIN} are needed`,
    );
  }
  return lines.map((line) => new TextEncoder().encode(line));
}

function readText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`${flag}: ${(cause as Error).message}`, { cause });
  }
}
