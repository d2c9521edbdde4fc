import assert from 'node:assert/strict';
import type { KvClient, KvEntry } from '../kv/client.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { nextTurn } from '../lib/turn.ts';
import { readAsks } from './asks.ts';
import type { RingDisk } from './folder.ts';
import { RingFollower } from './follower.ts';
import { meet, met, type RingPeer } from './meeting.ts';
import { RingMember, type RingMemberOptions } from './member.ts';
import { writeQuorum } from './quorum.ts';
import { ownersOf } from './version.ts';

// A cluster in small: real members and followers over one key-value store, samples that are only numbers, and faults. Each member has
// a clock of its own, so that it may stand still for days.

/** Values in memory, which may be away, forget answers, and go back. */
export class FaultyKv implements KvClient {
  isAway = false;
  /** Calls that fail after they did their work, of 1. */
  lostAnswers = 0;
  readonly #random: Random;
  #entries = new Map<string, KvEntry>();
  #revision = 0;
  readonly #watchers = new Set<() => void>();

  constructor(random: Random) {
    this.#random = random;
  }

  async get(key: string): Promise<KvEntry | undefined> {
    await this.#call();
    return this.#entries.get(key);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#call();
    this.#set(key, value);
    this.#answer();
  }

  async compareAndSet(key: string, expected: string | undefined, next: Uint8Array): Promise<boolean> {
    await this.#call();
    if (this.#entries.get(key)?.revision !== expected) return false;
    this.#set(key, next);
    this.#answer();
    return true;
  }

  async remove(key: string, expected: string): Promise<boolean> {
    await this.#call();
    if (this.#entries.get(key)?.revision !== expected) return false;
    this.#entries.delete(key);
    this.#answer();
    return true;
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<KvEntry> {
    const given = new Map<string, string>();
    while (!signal.aborted) {
      await this.#call();
      for (const [key, entry] of this.#entries) {
        if (!key.startsWith(prefix) || given.get(key) === entry.revision) continue;
        given.set(key, entry.revision);
        yield entry;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#watchers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#watchers.add(wake);
        signal.addEventListener('abort', wake);
        if (signal.aborted) wake();
      });
    }
  }

  saved(): ReadonlyMap<string, KvEntry> {
    return new Map(this.#entries);
  }

  restore(entries: ReadonlyMap<string, KvEntry>): void {
    this.#entries = new Map(entries);
    this.wake();
  }

  wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }

  #set(key: string, value: Uint8Array): void {
    this.#entries.set(key, { key, value: value.slice(), revision: String(++this.#revision) });
    this.wake();
  }

  async #call(): Promise<void> {
    await null;
    if (this.isAway) throw new Error('the store is away');
  }

  #answer(): void {
    if (this.lostAnswers > 0 && this.#random() < this.lostAnswers) throw new Error('the answer was lost');
  }
}

interface Gate {
  /** Its clock stands still, and nobody reaches it. */
  isPaused: boolean;
  /** It reaches other processes, and not the store. */
  isCut: boolean;
}

/** The store as one process reaches it: calls of one that stands still wait until it goes on. */
class GatedKv implements KvClient {
  readonly #kv: KvClient;
  readonly #of: Gate;

  constructor(kv: KvClient, of: Gate) {
    this.#kv = kv;
    this.#of = of;
  }

  async get(key: string) {
    await this.#open();
    return this.#kv.get(key);
  }

  async put(key: string, value: Uint8Array) {
    await this.#open();
    return this.#kv.put(key, value);
  }

  async compareAndSet(key: string, expected: string | undefined, next: Uint8Array) {
    await this.#open();
    return this.#kv.compareAndSet(key, expected, next);
  }

  async remove(key: string, expected: string) {
    await this.#open();
    return this.#kv.remove(key, expected);
  }

  async *watch(prefix: string, signal: AbortSignal) {
    for await (const entry of this.#kv.watch(prefix, signal)) {
      await this.#open();
      yield entry;
    }
  }

  async #open(): Promise<void> {
    while (this.#of.isPaused) await nextTurn();
    if (this.#of.isCut) throw new Error('the way to the store is cut');
  }
}

/** Files in memory, all synced. */
export class TestDisk implements RingDisk {
  readonly files = new Map<string, Uint8Array>();

  list(folder: string): string[] {
    return [...this.files.keys()]
      .filter((file) => file.startsWith(`${folder}/`))
      .map((file) => file.slice(folder.length + 1));
  }

  open(file: string) {
    const bytes = this.files.get(file)!;
    return {
      bytes: bytes.length,
      read(into: Uint8Array) {
        into.set(bytes);
        return bytes.length;
      },
      close() {},
    };
  }

  writeWhole(file: string, bytes: Uint8Array): void {
    this.files.set(file, bytes.slice());
  }

  remove(file: string): void {
    this.files.delete(file);
  }
}

/** Rules that a test takes out, to see that they are needed. */
export type Broken = 'reads of the newest version alone' | 'versions go to nobody with requests';

interface Node extends Gate {
  name: string;
  zone: string;
  disk: TestDisk;
  clock: ManualClock;
  member: RingMember | undefined;
  /** In its log, by the version under which they came. */
  held: Set<number>;
}

export class TestWorld {
  readonly random: Random;
  readonly kv: FaultyKv;
  readonly nodes: Node[] = [];
  readonly followers: (Gate & { readonly ring: RingFollower; readonly clock: ManualClock })[] = [];
  readonly store = new Set<number>();
  readonly acknowledged = new Map<number, string>();
  readonly #broken: Broken | undefined;
  readonly #options: Partial<RingMemberOptions>;
  #sample = 0;
  reads = 0;

  constructor(seed: number, broken?: Broken, options: Partial<RingMemberOptions> = {}) {
    this.random = seededRandom(seed);
    this.kv = new FaultyKv(this.random);
    this.#broken = broken;
    this.#options = options;
    for (let i = 0; i < 3; i++) this.follow();
  }

  follow(): TestWorld['followers'][number] {
    const clock = new ManualClock(1_700_000_000_000);
    const gate = { isPaused: false, isCut: false };
    const { heartbeatMs: refreshMs = 5000 } = this.#options;
    const ring = new RingFollower({ kv: new GatedKv(this.kv, gate), clock, refreshMs });
    const follower = Object.assign(gate, { ring, clock });
    this.followers.push(follower);
    ring.start();
    return follower;
  }

  add(): Node {
    const number = this.nodes.length;
    const clock = new ManualClock(1_700_000_000_000);
    const zone = `zone-${number % 3}`;
    const node: Node = {
      name: `ingester-${number}`,
      zone,
      disk: new TestDisk(),
      clock,
      member: undefined,
      held: new Set(),
      isPaused: false,
      isCut: false,
    };
    this.nodes.push(node);
    this.begin(node);
    return node;
  }

  begin(node: Node): void {
    const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256));
    const member = new RingMember({
      kv: new GatedKv(this.kv, node),
      clock: node.clock,
      randomBytes,
      disk: node.disk,
      folder: 'log',
      name: node.name,
      zone: node.zone,
      address: `${node.name}:9095`,
      replicas: 3,
      arcs: 16,
      zonesMin: 3,
      hasLog: node.held.size > 0,
      walAgeMaxMs: 30 * 86_400_000,
      forgetMs: 600_000,
      ...this.#options,
    });
    node.member = member;
    member.setComplete(true);
    member.start();
  }

  async crash(node: Node): Promise<void> {
    const { member } = node;
    node.member = undefined;
    node.isPaused = false;
    node.isCut = false;
    await member?.stop();
  }

  /** Time goes by for all that do not stand still. */
  async run(ms: number, stepMs = 5000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      for (const { clock, isPaused } of [...this.nodes, ...this.followers]) {
        if (!isPaused) await clock.advance(Math.min(left, stepMs));
      }
    }
  }

  async write(): Promise<void> {
    const { ring, isPaused } = this.#one(this.followers);
    if (isPaused) return;
    const tenant = `tenant-${Math.floor(this.random() * 8)}`;
    const sample = ++this.#sample;
    for (let round = 0; round < 5; round++) {
      const view = ring.current();
      if (view === undefined || view.confirmed === 0) return;
      const under = view.writing;
      const owners = ownersOf(under, view.slots.arcOf(tenant, 0, 0));
      let kept = 0;
      for (const id of owners) {
        if (this.random() < 0.2) continue; // lost on the way
        const node = await this.#reach(ring, id);
        if (node === undefined || node.member!.writeGate(under.number) !== undefined) continue;
        node.held.add(sample);
        kept++;
      }
      if (this.#movedOn(ring, view.hash)) continue;
      if (kept >= writeQuorum(3)) this.acknowledged.set(sample, tenant);
      return;
    }
  }

  /** All that was acknowledged before must be in whatever counts as an answer. */
  async read(): Promise<void> {
    const { ring, isPaused } = this.#one(this.followers);
    if (isPaused) return;
    const tenant = `tenant-${Math.floor(this.random() * 8)}`;
    const before = [...this.acknowledged].filter(([, whose]) => whose === tenant);
    for (let round = 0; round < 5; round++) {
      const view = ring.current();
      if (view === undefined) return;
      const found = new Set<number>();
      let { asks } = readAsks(view, tenant, undefined);
      if (this.#broken === 'reads of the newest version alone') asks = asks.slice(0, 1);
      let isWhole = true;
      for (const { owners, quorum } of asks) {
        let answers = 0;
        for (const id of owners.toSorted(() => this.random() - 0.5)) {
          if (answers === quorum) break;
          const node = await this.#reach(ring, id);
          if (node === undefined || node.member!.readGate() !== undefined) continue;
          for (const sample of node.held) found.add(sample);
          answers++;
        }
        if (answers < quorum) isWhole = false;
      }
      if (this.#movedOn(ring, view.hash)) continue;
      if (!isWhole) return;
      this.reads++;
      for (const sample of this.store) found.add(sample);
      const missing = before.filter(([sample]) => !found.has(sample));
      assert.deepEqual(
        missing,
        [],
        `acknowledged samples of ${tenant} are missing under version ${view.newest.number}`,
      );
      return;
    }
  }

  #movedOn(ring: RingFollower, hash: string): boolean {
    return ring.current()!.hash !== hash;
  }

  /** A member that is reached, and knows the caller's version. */
  async #reach(ring: RingPeer, id: string): Promise<Node | undefined> {
    const node = this.nodes.find(({ member }) => member?.id === id);
    if (node?.member === undefined || node.isPaused) return undefined;
    const { member } = node;
    if (this.#broken === 'versions go to nobody with requests') return node;
    try {
      await meet(ring, async (known) => met(member, known));
      return node;
    } catch {
      return undefined;
    }
  }

  /** The store gets what a member owes; then it says so. */
  flush(node: Node): void {
    const { member } = node;
    if (member === undefined || node.isPaused) return;
    const number = member.refusedUpTo();
    for (const sample of node.held) this.store.add(sample);
    node.held.clear();
    member.giveWord(number);
    const view = member.current();
    if (view !== undefined && member.readGate() !== undefined) member.join();
    if (
      view?.newest.members.find(({ id }) => id === member.id)?.state === 'draining' &&
      view.confirmed === view.newest.number
    ) {
      if (number === view.newest.number) member.leave();
    }
  }

  /** No two versions of one number count, and no arc loses two owners from one that counts to the next without force. */
  checkVersions(): void {
    const names = new Map<number, string>();
    for (const { current } of this.#rings()) {
      const view = current();
      if (view === undefined) continue;
      const counts = view.chain.findIndex(({ number }) => number === view.confirmed);
      if (counts < 0) continue;
      const name = counts === view.chain.length - 1 ? view.hash : view.chain[counts + 1]!.parent!;
      const other = names.get(view.confirmed);
      assert.ok(other === undefined || other === name, `two versions ${view.confirmed} count`);
      names.set(view.confirmed, name);
    }
  }

  #rings(): { current: () => ReturnType<RingPeer['current']> }[] {
    const members = this.nodes.flatMap(({ member }) => (member === undefined ? [] : [member]));
    return [...members, ...this.followers.map(({ ring }) => ring)].map((ring) => ({ current: () => ring.current() }));
  }

  #one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  async end(): Promise<void> {
    for (const node of this.nodes) await this.crash(node);
    for (const each of this.followers) {
      each.isPaused = false;
      await each.ring.stop();
    }
  }
}
