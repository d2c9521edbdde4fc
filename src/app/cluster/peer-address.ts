import os from 'node:os';

/** Settings of where other processes reach this one. */
export interface PeerAddressSettings {
  readonly peerListenAddress: string;
  readonly peerAdvertiseAddress: string;
}

/** `127.0.0.1:9095`, `[::1]:9095`, `:9095` @throws Error that names the setting */
export function listenAddressOf(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new Error(`-server.peer-listen-address ${text}: host and port are wanted, like 127.0.0.1:9095`);
  }
  return { host: bracketed ?? (plain || '0.0.0.0'), port: Number(port) };
}

/** The address that others are told. @param port that it listens on */
export function advertisedAddress(settings: PeerAddressSettings, port: number): string {
  const { peerAdvertiseAddress, peerListenAddress } = settings;
  if (peerAdvertiseAddress !== '') return peerAdvertiseAddress;
  const { host } = listenAddressOf(peerListenAddress);
  const name = ['', '0.0.0.0', '::'].includes(host) ? os.hostname() : host;
  return `${name.includes(':') ? `[${name}]` : name}:${port}`;
}
