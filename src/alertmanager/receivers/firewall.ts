import { BlockList, isIP } from 'node:net';
import { SendError } from './notification.ts';

/** Networks that notifications must not go to. */
export interface FirewallRules {
  readonly blocksPrivate: boolean;
  /** `10.0.0.0/8` */
  readonly networks: readonly string[];
}

export type Resolve = (host: string) => Promise<readonly string[]>;

/** Addresses of the machine itself, its networks, and those that lead to no other machine of the Internet. */
const PRIVATE = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  '100::/64',
  '2001:db8::/32',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

const privateNetworks = blockListOf(PRIVATE);

/** Where a receiver may be reached: asked for each connection, of the address that is dialled, so that no name and no redirect leads around it. */
export class Firewall {
  /** Asked each time: limits of a tenant change. */
  readonly #rules: () => FirewallRules;
  readonly #resolve: Resolve;
  #networks: { readonly of: readonly string[]; readonly list: BlockList } | undefined;

  constructor(rules: () => FirewallRules, resolve: Resolve) {
    this.#rules = rules;
    this.#resolve = resolve;
  }

  /**
   * The address to dial for a host: its first one that is allowed.
   * @throws SendError where none is
   */
  async addressOf(host: string): Promise<string> {
    const literal = host.replace(/^\[(.*)\]$/, '$1');
    const addresses = isIP(literal) > 0 ? [literal] : await this.#resolved(host);
    let problem = `no address of ${host} is known`;
    for (const address of addresses) {
      const found = this.#problem(address);
      if (found === undefined) return address;
      problem = found;
    }
    throw new SendError(problem, 'clientError');
  }

  async #resolved(host: string): Promise<readonly string[]> {
    try {
      return await this.#resolve(host);
    } catch (thrown) {
      const code = (thrown as { code?: unknown }).code;
      throw new SendError(`no address of ${host} is known: ${String(code ?? 'it cannot be resolved')}`);
    }
  }

  #problem(address: string): string | undefined {
    const { blocksPrivate, networks } = this.#rules();
    if (this.#networks?.of !== networks) this.#networks = { of: networks, list: blockListOf(networks) };
    for (const each of [address, ...embedded(address)]) {
      if (blocksPrivate && isWithin(privateNetworks, each)) {
        return `the address ${address} is private (alertmanager_receivers_firewall_block_private_addresses)`;
      }
      if (isWithin(this.#networks.list, each)) {
        return `the address ${address} is blocked (alertmanager_receivers_firewall_block_cidr_networks)`;
      }
    }
    return undefined;
  }
}

/** @throws Error for a text that is no network */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    const family = isIP(address);
    if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) {
      throw new Error(`${network} is no network: an address and a number of bits are wanted, like 10.0.0.0/8`);
    }
    list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function isWithin(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** Addresses of version 4 inside one of version 6: mapped, compatible, of NAT64, of 6to4. */
function embedded(address: string): string[] {
  if (isIP(address) !== 6) return [];
  const groups = groupsOf(address);
  const v4 = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.');
  const isZero = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0);
  const last = v4(groups[6]!, groups[7]!);
  if (isZero(0, 5) && (groups[5] === 0xffff || groups[5] === 0)) return [last];
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return [last];
  if (groups[0] === 0x2002) return [v4(groups[1]!, groups[2]!)];
  return [];
}

function groupsOf(address: string): number[] {
  const [plain = ''] = address.split('%');
  // the form with dots, as two groups
  const text = plain.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const group = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
  const [before = '', after] = text.split('::');
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [head, tail] = [parse(before), parse(after ?? '')];
  return after === undefined ? head : [...head, ...new Array(8 - head.length - tail.length).fill(0), ...tail];
}
