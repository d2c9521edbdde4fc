import { resolve4, resolve6, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';

/** Looks names up; another one in tests. */
export interface Resolver {
  addresses(name: string): Promise<readonly string[]>;
  services(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
}

export const systemResolver: Resolver = {
  async addresses(name) {
    const [four, six] = await Promise.allSettled([resolve4(name), resolve6(name)]);
    const found = [four, six].flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  },
  services: (name) => resolveSrv(name),
};

/** Hosts that a name stands for, at most. */
const HOSTS_MAX = 256;

/**
 * The base addresses of the Alertmanagers that a configured one stands for: itself, or with `dns+` every address of its
 * name, with `dnssrv+` every host of the name's SRV records.
 * @param discovery its host is a name of SRV records
 * @throws where the name cannot be looked up
 */
export async function alertmanagersOf(
  configured: string,
  discovery: boolean,
  resolver: Resolver = systemResolver,
): Promise<readonly string[]> {
  const [, how, text] = /^(?:(dns|dnssrv)\+)?(.*)$/s.exec(configured)!;
  const url = new URL(text!);
  if (how === 'dnssrv' || (how === undefined && discovery && isIP(url.hostname) === 0)) {
    const found = (await resolver.services(url.hostname)).slice(0, HOSTS_MAX);
    return found.map(({ name, port }) => withHost(url, name.replace(/\.$/, ''), String(port)));
  }
  if (how !== 'dns') return [trimmed(url)];
  const found = (await resolver.addresses(url.hostname)).slice(0, HOSTS_MAX);
  return found.map((address) => withHost(url, isIP(address) === 6 ? `[${address}]` : address, url.port));
}

function withHost(url: URL, host: string, port: string): string {
  const copy = new URL(url);
  copy.hostname = host;
  copy.port = port;
  return trimmed(copy);
}

function trimmed(url: URL): string {
  return url.href.replace(/\/+$/, '');
}
