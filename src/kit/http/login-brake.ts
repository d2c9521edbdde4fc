import { isIPv6 } from 'node:net';
import { LOGIN_BURST as BURST, LOGIN_REFILL_MS as REFILL_MS, type SharedLogins } from './shared-logins.ts';

/** Addresses that are known; the one not heard of for longest is forgotten for a new one. */
const ADDRESSES_MAX = 10_000;
/** Credentials of one address that were right and are taken without waiting. */
const KNOWN_MAX = 64;
const LOG_INTERVAL_MS = 10_000;
const LOG_LINES_PER_SECOND_MAX = 5;

interface Address {
  /** Failed logins it may have now; fractions grow with time. */
  left: number;
  atMs: number;
  /** Digests of credentials that were right from here. */
  readonly known: Set<string>;
  failures: number;
  loggedMs: number;
}

/**
 * Slows those who guess: after some failed logins of an address only one a second is looked at. Credentials that were right
 * from that address before are taken all the time, so a guesser behind a proxy does not lock out its neighbours.
 */
export class LoginBrake {
  readonly #nowMs: () => number;
  readonly #shared: SharedLogins | undefined;
  readonly #addresses = new Map<string, Address>();
  #logSecond = 0;
  #logLines = 0;

  /** @param shared where several threads count logins together; log lines are each thread's own */
  constructor(nowMs: () => number, shared?: SharedLogins) {
    this.#nowMs = nowMs;
    this.#shared = shared;
  }

  /** Whether these credentials may be looked at. */
  mayTry(address: string, digest: string): boolean {
    const network = networkOf(address);
    const entry = this.#addresses.get(network);
    if (this.#shared !== undefined) {
      return this.#shared.mayTry(network) || entry?.known.has(digest) === true || this.#shared.isKnown(network, digest);
    }
    if (entry === undefined || entry.known.has(digest)) return true;
    this.#refill(entry);
    return entry.left >= 1;
  }

  succeeded(address: string, digest: string): void {
    const network = networkOf(address);
    const { known } = this.#entry(network);
    if (known.has(digest) || known.size >= KNOWN_MAX) return;
    known.add(digest);
    this.#shared?.know(network, digest);
  }

  /** @returns failures since the last log line of this address; undefined: it is too soon for a line */
  failed(address: string): number | undefined {
    const network = networkOf(address);
    this.#shared?.failed(network);
    const entry = this.#entry(network);
    // moved to the end: the first of the map is the one not heard of for longest
    this.#addresses.delete(network);
    this.#addresses.set(network, entry);
    this.#refill(entry);
    entry.left = Math.max(0, entry.left - 1);
    entry.failures++;
    const nowMs = this.#nowMs();
    if (nowMs - entry.loggedMs < LOG_INTERVAL_MS || !this.#mayLog(nowMs)) return undefined;
    const { failures } = entry;
    entry.failures = 0;
    entry.loggedMs = nowMs;
    return failures;
  }

  #mayLog(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#logSecond) {
      this.#logSecond = second;
      this.#logLines = 0;
    }
    return ++this.#logLines <= LOG_LINES_PER_SECOND_MAX;
  }

  #refill(entry: Address): void {
    const nowMs = this.#nowMs();
    entry.left = Math.min(BURST, entry.left + Math.max(0, nowMs - entry.atMs) / REFILL_MS);
    entry.atMs = nowMs;
  }

  #entry(network: string): Address {
    let entry = this.#addresses.get(network);
    if (entry !== undefined) return entry;
    if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.delete(this.#addresses.keys().next().value!);
    entry = { left: BURST, atMs: this.#nowMs(), known: new Set(), failures: 0, loggedMs: Number.NEGATIVE_INFINITY };
    this.#addresses.set(network, entry);
    return entry;
  }
}

/** The part of an address that is one client's for sure: all of an IPv4 address, the first 64 bits of an IPv6 one. */
export function networkOf(address: string): string {
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}
