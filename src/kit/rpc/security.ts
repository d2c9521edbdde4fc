import { isIP } from 'node:net';

/** How two processes know each other; both may be given. */
export interface PeerSecurity {
  /** The cluster's shared key: both sides prove that they have it. Further ones are taken, too, while it is being changed. */
  readonly keys?: readonly Uint8Array[] | undefined;
  /** Certificates of both sides, in PEM; each must be signed by one of `ca`. */
  readonly tls?: PeerTls | undefined;
  /** Neither of them is needed, also beyond this machine. */
  readonly insecure?: boolean | undefined;
}

export interface PeerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** The name that certificates of listeners are for; absent: the host that is called. */
  readonly serverName?: string | undefined;
}

/** Whether a host is this machine itself: nobody else listens in, or gets there. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1';
}

/** Whether others prove who they are, or need not by what is set. */
export function isProtected({ keys, tls, insecure }: PeerSecurity): boolean {
  return keys !== undefined || tls !== undefined || insecure === true;
}

/** @throws where neither key nor certificates protect an address that others can reach */
export function checkSecurity(host: string, security: PeerSecurity): void {
  if (isProtected(security) || isLoopback(host)) return;
  throw new Error(
    `members at ${host} would talk to anybody: set -server.peer-key-file or -server.peer-tls-cert-path, or -server.peer-insecure where the network lets nobody else in`,
  );
}

/**
 * Other processes may read and write for every tenant.
 * @throws where users must prove who they are, and whoever gets to this machine's loopback could pass by that
 */
export function checkClosed(isClosed: boolean, security: PeerSecurity): void {
  if (!isClosed || isProtected(security)) return;
  throw new Error(
    'users are configured, and every account of this machine could ask the listener for other processes in the place of any tenant: set -server.peer-key-file or -server.peer-tls-cert-path, or -server.peer-insecure where all accounts are trusted',
  );
}

/** Host and port of `host:port` or `[address]:port`. @throws where it is none */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  const port = Number(address.slice(at + 1));
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`'${address}' is no address of a member: host:port`);
  }
  return { host, port };
}
