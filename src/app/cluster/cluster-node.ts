import os from 'node:os';
import path from 'node:path';
import type { IngesterAdmin } from '../../contract/ingester.ts';
import type { MemberTarget } from '../../contract/member.ts';
import type { ReplicaReader } from '../../contract/replica.ts';
import type { QueriesOfProcess } from '../../contract/running-queries.ts';
import type { Disk } from '../../ingester/log/disk.ts';
import { shardFolders } from '../../ingester/shard/shard-folder.ts';
import type { Logger } from '../../kit/observe/log.ts';
import {
  gauge,
  type MetricSnapshot,
  type MetricSource,
  metricTable,
  Registry,
  readMetrics,
} from '../../kit/observe/metrics.ts';
import { PeerCredentials } from '../../kit/rpc/credentials.ts';
import type { PeerSelf } from '../../kit/rpc/handshake.ts';
import { peerMetrics, servedMetrics } from '../../kit/rpc/metrics.ts';
import type { RpcAnswer, RpcCall, RpcCaller, RpcRequest, RpcRole } from '../../kit/rpc/role.ts';
import { checkClosed, hostAndPort } from '../../kit/rpc/security.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import type { Loops } from '../../kit/service/loops.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import { type Clock, type Timer, timeout } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { ringErrors } from '../../model/errors-ring.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { memberRole } from '../../peer/member-role.ts';
import { remoteQueries } from '../../peer/queries-role.ts';
import { RemoteMembers } from '../../peer/remote-members.ts';
import type { OtherQueries } from '../../querier/running-queries.ts';
import { RingFollower } from '../../ring/follower.ts';
import { type HeldSummary, type KnownVersion, meet, type RingPeer } from '../../ring/meeting.ts';
import { RingMember } from '../../ring/member.ts';
import { newestMembers } from '../../ring/newest-members.ts';
import { MemberPlaces, nameOfPlaces, PLACES_MAX } from '../../ring/places.ts';
import { areOthersWell, floorOf } from '../../ring/plan.ts';
import { decodeHandedRow, type MemberRow } from '../../ring/row.ts';
import { decodeSettings, encodeSettings, type KeptSettings } from '../../ring/settings.ts';
import type { RingView } from '../../ring/view.ts';
import type { Config } from '../config.ts';
import type { LateKv } from './late-kv.ts';
import type { ListenRequest } from './listener-roles.ts';
import { Meetings } from './meetings.ts';
import { ownSettings } from './own-settings.ts';
import { advertisedAddress, listenAddressOf } from './peer-address.ts';
import { PeerCallers } from './peer-callers.ts';
import type { PeerHost } from './peer-host.ts';
import { type Reach, reachOf } from './reach.ts';
import { isRestartTurn } from './restart-turn.ts';
import { type RingStatus, ringStatus } from './ring-status.ts';
import { type OthersSettings, SettingsKeeper } from './settings-keeper.ts';
import type { ThreadPeers } from './thread-peers.ts';
import { type RingPorts, serveRing } from './thread-ring.ts';

/** The parts of an ingester that other processes ask. */
export interface ServedIngester {
  readonly target: MemberTarget;
  readonly reader: ReplicaReader;
  readonly admin: IngesterAdmin;
}

export interface ClusterNodeOptions {
  readonly config: Config;
  readonly kv: LateKv;
  /** Absent: this process holds no samples. */
  readonly disk?: Disk | undefined;
  /** Another thread takes the place of its listener (`leavePort`). Absent: none does. */
  readonly handsListener?: boolean;
  /** Whether users must prove who they are: then other processes must, too. */
  readonly isClosed: () => boolean;
  /** Ends this process, so that it is started again. */
  readonly onRestartNeeded?: () => void;
  readonly loops: Loops;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

const ringMetrics = metricTable({
  version: gauge('ring_version', 'Newest version of the ring that is known here; 0: none.'),
  confirmed: gauge('ring_confirmed_version', 'Newest version that is known to count.'),
  floor: gauge(
    'ring_floor_version',
    'Oldest version whose owners readers still ask: the newest, once the store has all.',
  ),
  members: gauge('ring_members', 'Members of the newest version.'),
  lacking: gauge('ring_arcs_without_quorum', 'Arcs of which fewer owners than a quorum can be reached from here.'),
  away: gauge('ring_members_away', 'Owners that cannot be reached from here.'),
  owedSamples: gauge(
    'ring_member_owed_samples',
    'Samples of windows of a member that the store does not have all of. Each of its other holders owes them, too.',
    ['member'],
  ),
  owedWindows: gauge('ring_member_owed_windows', 'Windows of a member that the store does not have all of.', [
    'member',
  ]),
  owedSeconds: gauge(
    'ring_member_oldest_owed_seconds',
    'Age of the start of the oldest window of a member that the store does not have all of; 0: there is none.',
    ['member'],
  ),
  storeAge: gauge(
    'ring_store_answer_age_seconds',
    'Time since the store of the ring last answered; as long as it never did, since this process began.',
  ),
});

/** Looks at the settings of the cluster in the time after which a member without heartbeats is unhealthy. */
const LOOKS = 4;
/** How long another process may take to tell the settings of the cluster. */
const ASK_MS_MAX = 2_000;
/** How long a thread waits for word of where members are. */
const SEEK_MS_MAX = 1_000;
/** Members of which it is kept what they hold. */
const HOLDS_MAX = 10_000;

/** This process in its cluster: the ring as it knows it, the listener for others, and the ways to them. */
export class ClusterNode implements Service, RingPeer, PeerHost {
  readonly name = 'ring';
  readonly #options: ClusterNodeOptions;
  readonly #listeners = new Set<(view: RingView) => void>();
  readonly #credentials: PeerCredentials;
  readonly #nonce: string;
  readonly #alike: PeerSelf['cluster'];
  readonly #server: RpcServer;
  readonly #role: Record<string, RpcRole[string]>;
  readonly #callers: PeerCallers;
  readonly #settings: SettingsKeeper;
  readonly #metrics: ReturnType<typeof ringMetrics>;
  /** Metrics of each thread that has the ring. */
  readonly #threads = new Set<MetricSource>();
  readonly #stopping = new AbortController();
  /** All members are asked what they know, again and again: so versions come here without the store, and who can be reached is known. */
  readonly #meetings: Meetings;
  /** Newest heartbeat of each member, and the monotonic time when it was first seen here. */
  readonly #beats = new Map<string, { readonly beat: number; readonly atMs: number }>();
  readonly members: RemoteMembers;
  readonly #places = new MemberPlaces(() => {
    const view = this.current();
    if (view !== undefined) this.#changed(view);
  });
  /** Members that are looked for. */
  readonly #sought = new Map<string, Promise<void>>();
  #ring: RingMember | RingFollower | undefined;
  #served: ServedIngester | undefined;
  /** Holdings of this member, as it last looked, and those that others told of themselves, with the monotonic time when they did. */
  #ownHolds: HeldSummary | undefined;
  readonly #holds = new Map<string, { readonly holds: HeldSummary; readonly toldMs: number }>();
  /** Members of which metrics were told. */
  readonly #counted = new Set<string>();
  #isComingBack = false;
  /** Newest version that others were met about at once. */
  #toldNumber = 0;
  #reach: { readonly view: RingView; readonly away: string; readonly reach: Reach } | undefined;
  #floor: { readonly view: RingView; readonly number: number } | undefined;
  #refreshes: Timer | undefined;
  #rounds: Promise<void> = Promise.resolve();

  /** @throws where its address or the files of its security are wrong */
  constructor(options: ClusterNodeOptions) {
    const { config, kv, disk, clock, log, registry, loops } = options;
    this.#metrics = ringMetrics(registry);
    this.#options = options;
    this.#credentials = PeerCredentials.read(config.server);
    const security = () => this.#credentials.current;
    const own = ownSettings(config);
    const { periods: _, ...alike } = own;
    const nonce = Buffer.from(systemBytes(6)).toString('hex');
    this.#nonce = `${this.instanceName}/${nonce}`;
    this.#alike = alike;
    const self = this.#selfNow();
    const metrics = peerMetrics(registry);
    this.members = new RemoteMembers({
      self,
      security,
      clock,
      addressOf: (id) => this.#places.addressOf(id),
      byId: true,
      metrics,
    });
    this.#callers = new PeerCallers({ self, security, clock, metrics });
    const { host, port } = listenAddressOf(config.server.peerListenAddress);
    const parts = disk === undefined ? { ring: this } : { ...this.#ingester(), ring: this };
    this.#role = {
      ...memberRole(parts),
      settings: async (_, { peer }) => ({ body: this.#settingsFor(peer) }),
    };
    this.#server = new RpcServer({
      host,
      port,
      self,
      security,
      role: this.#role,
      sharing: options.handsListener ? 'first' : undefined,
      clock,
      log,
      metrics: servedMetrics(registry),
    });
    this.#meetings = new Meetings({
      clock,
      periodMs: config.ring.heartbeatPeriodMs,
      loop: loops.add('ring-meetings', config.ring.heartbeatPeriodMs),
      whom: () => this.#whom(),
      meet: async (id) => {
        const other = this.current() === undefined ? this.members.at(id) : this.members.of(this, id);
        if (other === undefined) throw writeErrors.ownerAway({ reason: 'its address is not known' });
        await meet(this, (known) => other.meet(known));
      },
    });
    const others = (signal: AbortSignal) => this.#askSettings(signal);
    const everyOther = (signal: AbortSignal) => this.#askAllSettings(signal);
    const { heartbeatTimeoutMs } = config.ring;
    const onOtherKey = () => {
      const members = this.current()?.newest.members ?? [];
      const ids = members.map(({ id }) => id);
      const isTurn = isRestartTurn(this.member?.id ?? this.#nonce, ids, clock.nowMs(), heartbeatTimeoutMs);
      if (!isTurn || !this.#canBeAway) return;
      this.#isComingBack = true;
      options.onRestartNeeded?.();
    };
    const shared = { kv, disk, lookMs: heartbeatTimeoutMs / LOOKS, clock, log };
    this.#settings = new SettingsKeeper({ ...shared, own, folder: this.#folder, others, everyOther, onOtherKey });
  }

  get heartbeatMs(): number {
    return this.#options.config.ring.heartbeatPeriodMs;
  }

  get instanceName(): string {
    return this.#options.config.ring.instanceName || os.hostname();
  }

  get #folder(): string {
    return path.join(this.#options.config.data.dir, 'ingester');
  }

  /** The member that this process is; undefined: it holds no samples, or has not started. */
  get member(): RingMember | undefined {
    return this.#ring instanceof RingMember ? this.#ring : undefined;
  }

  /** Whether this process ends only to be started again at once. */
  get isComingBack(): boolean {
    return this.#isComingBack;
  }

  /** Key of series' keys; undefined: not known, series go with their labels. */
  get seriesKey(): Uint8Array | undefined {
    return this.#settings.seriesKey;
  }

  /** Who this process says it is: the member that it is, once it knows. */
  #selfNow(): PeerSelf {
    const name = () => this.member?.id ?? this.#nonce;
    return {
      get name() {
        return name();
      },
      cluster: this.#alike,
    };
  }

  get address(): string {
    return advertisedAddress(this.#options.config.server, this.#server.port);
  }

  caller(address: string): RpcCaller {
    return this.#callers.at(address);
  }

  /** The members that can be asked for their queries; undefined: no ring is known yet. */
  queriesElsewhere(): OtherQueries | undefined {
    const view = this.current();
    if (view === undefined) return undefined;
    const self = this.member?.id ?? this.#nonce;
    const others = new Map<string, QueriesOfProcess>();
    for (const { id } of view.newest.members) {
      const address = this.#places.addressOf(id) ?? view.addressOf(id);
      if (id !== self && address !== undefined) others.set(id, remoteQueries(this.caller(address)));
    }
    return { self, others };
  }

  forget(address: string): void {
    this.#callers.forget(address);
  }

  answer(role: RpcRole): void {
    Object.assign(this.#role, role);
  }

  /** Address, name and methods for another thread that listens in place of this one. */
  handedListener(): Omit<ListenRequest, 'change' | 'calls'> {
    const { host } = listenAddressOf(this.#options.config.server.peerListenAddress);
    return { host, port: this.#server.port, peers: this.threadPeers(), methods: Object.keys(this.#role) };
  }

  /** Answers a call that came to the thread that listens. */
  async answerHanded(method: string, request: RpcRequest, call: RpcCall): Promise<RpcAnswer> {
    const answer = await this.#role[method]!(request, call);
    if (answer.items !== undefined) throw new Error(`bug: ${method} is answered by a stream`);
    return answer;
  }

  /** As of `RpcServer`. */
  leavePort(): void {
    this.#server.leavePort();
  }

  /** As of `RpcServer`. */
  takePort(): Promise<void> {
    return this.#server.takePort();
  }

  async start(signal: AbortSignal): Promise<void> {
    const { config, kv, disk, clock, log } = this.#options;
    const { heartbeatPeriodMs, heartbeatTimeoutMs, autoForgetMs, arcs, zonesMin, instanceZone } = config.ring;
    if (config.server.peerAdvertiseAddress !== '') hostAndPort(config.server.peerAdvertiseAddress);
    checkClosed(this.#options.isClosed(), this.#credentials.current);
    await this.#server.start();
    this.#refreshes = this.#credentials.watch(clock, this.#options.loops, log, () => this.#server.securityChanged());
    disk?.makeFolder(this.#folder);
    await this.#settings.agree(signal);
    const onRow = (row: MemberRow) => this.#places.take([row]);
    const loop = this.#options.loops.add(disk === undefined ? 'ring' : 'ring-member', heartbeatPeriodMs);
    const round = (work: () => Promise<void>) => loop.run(work);
    if (disk === undefined) {
      this.#ring = new RingFollower({ kv, clock, refreshMs: heartbeatPeriodMs, onRow, round });
    } else {
      this.#ring = new RingMember({
        kv,
        clock,
        randomBytes: systemBytes,
        disk,
        folder: this.#folder,
        name: this.instanceName,
        zone: instanceZone,
        address: this.address,
        replicas: config.distributor.replicationFactor,
        arcs,
        zonesMin,
        hasLog: shardFolders(this.#folder).length > 0,
        walAgeMaxMs: config.ingester.walAgeMaxMs,
        takeOldLog: config.ingester.takeOldLog,
        heartbeatMs: heartbeatPeriodMs,
        unhealthyMs: heartbeatTimeoutMs,
        forgetMs: autoForgetMs,
        onTold: () => this.#meetings.soon(),
        onRow,
        round,
      });
    }
    this.#ring.onChange((view) => this.#changed(view));
    const view = this.#ring.current();
    if (view !== undefined) this.#changed(view);
    this.#ring.start();
    this.#settings.watch(this.#stopping.signal);
    this.#rounds = this.#meetings.run(this.#stopping.signal);
  }

  async stop(stop: Stop): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    this.#refreshes?.cancel();
    await this.#ring?.stop();
    await this.#settings.settled();
    this.members.close();
    this.#callers.close();
    await this.#rounds;
    await this.#server.stop(stop);
    await this.#options.kv.close();
  }

  /** Gives the ingester that answers other processes; before that this one counts as away. */
  serve(served: ServedIngester): void {
    this.#served = served;
  }

  /** Tells others what this member holds, for people to see. */
  tellHolds(holds: HeldSummary): void {
    this.#ownHolds = holds;
  }

  #holdsOf(id: string): HeldSummary | undefined {
    return id === this.member?.id ? this.#ownHolds : this.#holds.get(id)?.holds;
  }

  current(): RingView | undefined {
    return this.#ring?.current();
  }

  onChange(listener: (view: RingView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  known(above: number, theirPlaces?: string): KnownVersion {
    const known = this.#ring?.known(above) ?? { number: 0, hash: '', floor: 0, confirmed: 0, documents: [] };
    const { member } = this;
    const view = this.current();
    const moved = view === undefined ? [] : this.#places.moved(view);
    const placesName = nameOfPlaces(moved);
    const told = theirPlaces === undefined || theirPlaces === placesName ? [] : moved.slice(0, PLACES_MAX - 1);
    const places = member === undefined ? told : [member.place, ...told];
    const row = member?.toldRow;
    return {
      ...known,
      places,
      placesName,
      ...(row && { row, ...(this.#ownHolds && { holds: this.#ownHolds }) }),
    };
  }

  learn(known: KnownVersion): void {
    this.#ring?.learn(known);
    const ownId = this.member?.id;
    this.#places.take((known.places ?? []).filter(({ id }) => id !== ownId));
    if (known.row === undefined) return;
    this.#ring?.hearRow(known.row);
    const id = decodeHandedRow(known.row)?.id;
    const toldMs = this.#options.clock.monotonicMs();
    if (id !== undefined && known.holds !== undefined) this.#holds.set(id, { holds: known.holds, toldMs });
    if (this.#holds.size > HOLDS_MAX) this.#holds.delete(this.#holds.keys().next().value!);
  }

  /** Settings and names with which a thread asks members by itself. */
  threadPeers(): ThreadPeers {
    const { name, cluster } = this.#selfNow();
    return { self: { name, cluster }, files: this.#options.config.server };
  }

  /** Serves the ring to a thread. */
  connect(ports: RingPorts, gone: Promise<unknown>): void {
    const metrics = serveRing(
      {
        ring: this,
        addresses: () => this.#places.addresses,
        meet: (id) => this.members.meet(this, id),
        seek: (ids) => this.#seek(ids),
      },
      ports,
      gone,
    );
    this.addMetrics(metrics, gone);
  }

  /** Adds metrics of a thread until it is gone. */
  addMetrics(metrics: MetricSource, gone: Promise<unknown>): void {
    this.#threads.add(metrics);
    void gone.then(() => this.#threads.delete(metrics));
  }

  /** Metrics of all threads' ways to members. */
  metrics(): Promise<MetricSnapshot> {
    this.#count();
    return readMetrics(new Registry(), [...this.#threads]);
  }

  #count(): void {
    const { kv, clock } = this.#options;
    const view = this.current();
    this.#metrics.version.set(view?.newest.number ?? 0);
    this.#metrics.confirmed.set(view?.confirmed ?? 0);
    this.#metrics.floor.set(this.#floorOf(view));
    this.#metrics.members.set(view?.newest.members.length ?? 0);
    this.#metrics.lacking.set(this.reach?.lacking ?? view?.newest.arcs ?? 0);
    this.#metrics.away.set(this.reach?.away.length ?? 0);
    const owing = this.#owing(view);
    for (const id of owing) {
      const holds = this.#holdsOf(id);
      if (holds === undefined) continue;
      if (holds.samplesOwed !== undefined) this.#metrics.owedSamples.set({ member: id }, holds.samplesOwed);
      this.#metrics.owedWindows.set({ member: id }, holds.windowsOwed);
      const owedMs = holds.windowsOwed === 0 ? 0 : clock.nowMs() - holds.oldestOwedMs;
      this.#metrics.owedSeconds.set({ member: id }, Math.max(0, owedMs / 1000));
      this.#counted.add(id);
    }
    for (const member of this.#counted) {
      if (owing.has(member)) continue;
      this.#counted.delete(member);
      const { owedSamples, owedWindows, owedSeconds } = this.#metrics;
      for (const each of [owedSamples, owedWindows, owedSeconds]) each.remove({ member });
    }
    this.#metrics.storeAge.set((clock.monotonicMs() - kv.answeredMs) / 1000);
  }

  /** Members whose holdings are told: those of the newest version, and those that are out and did not leave, as long as their rows are kept. */
  #owing(view: RingView | undefined): ReadonlySet<string> {
    const { clock, config } = this.#options;
    const rows = this.#ring?.rows;
    const fromMs = clock.monotonicMs() - config.ring.autoForgetMs;
    const isOwing = (id: string) => ![undefined, 'leave'].includes(rows?.get(id)?.wants);
    const told = [...this.#holds].filter(([id, { toldMs }]) => toldMs >= fromMs && isOwing(id)).map(([id]) => id);
    const own = this.member === undefined || this.member.wants === 'leave' ? [] : [this.member.id];
    return new Set([...(view?.newest.members ?? []).map(({ id }) => id), ...told, ...own]);
  }

  /** The oldest version that readers still ask. The newest carries that of its making, which lies below it for ever. */
  #floorOf(view: RingView | undefined): number {
    if (view === undefined) return 0;
    if (this.#floor?.view !== view) this.#floor = { view, number: floorOf(view) };
    return this.#floor.number;
  }

  /** Arcs of which a quorum can be reached from here; undefined: no version counts yet. */
  get reach(): Reach | undefined {
    const view = this.current();
    if (view === undefined || view.confirmed === 0) return undefined;
    const away = view.writing.members.filter(({ id }) => !this.#isReached(id)).map(({ id }) => id);
    const key = away.join('\0');
    if (this.#reach?.view !== view || this.#reach.away !== key) {
      const gone = new Set(away);
      this.#reach = { view, away: key, reach: reachOf(view, (id) => !gone.has(id)) };
    }
    return this.#reach.reach;
  }

  notReady(): string | undefined {
    const view = this.current();
    const { config } = this.#options;
    if (view === undefined) {
      const { member } = this;
      if (this.#ring === undefined) {
        const { awaited } = this.#settings;
        return `no version of the ring is known: waiting for the store of the ring${awaited === undefined ? '' : ` (${awaited})`}`;
      }
      const waiting = [...(member?.rows.values() ?? [])].filter(({ wants }) => wants === 'join').length;
      const counted =
        member === undefined ? '' : `: ${waiting} of ${config.distributor.replicationFactor} ingesters wait for it`;
      const why = member?.lastError === undefined ? '' : ` (${(member.lastError as Error).message})`;
      return `no version of the ring is known${counted}${why}`;
    }
    if (this.#settings.problem !== undefined) return this.#settings.problem;
    if (view.confirmed === 0) return ringErrors.ringNotConfirmed({ members: view.newest.members.length }).message;
    const own = this.#ownNotReady(view);
    if (own !== undefined) return own;
    if (config.process.target.every((target) => target === 'ingester')) return undefined;
    const { lacking, arcs, quorum, away } = this.reach!;
    if (lacking === 0) return undefined;
    return `${lacking} of ${arcs} arcs of the ring have fewer than ${quorum} owners that can be reached; away: ${away.join(', ')}`;
  }

  #ownNotReady({ newest }: RingView): string | undefined {
    const { member } = this;
    if (member === undefined) return undefined;
    switch (member.standing) {
      case 'out':
        return `this ingester is no member of version ${newest.number} of the ring; it wants ${member.wants}`;
      case 'drained':
        return 'this ingester drains: others own what it had';
      default:
        // it may listen elsewhere than before: who cannot find it may need it as soon as another is away
        if (member.toldRow !== undefined || this.#meetings.anyAnswered || newest.members.length === 1) return undefined;
        return 'no other process was told yet where this ingester listens';
    }
  }

  #isReached(id: string): boolean {
    return id === this.member?.id || this.#meetings.isReached(id) === true;
  }

  /** The ring for people. */
  status(): RingStatus {
    const { clock, config } = this.#options;
    const nowMs = clock.monotonicMs();
    const ownId = this.member?.id;
    return ringStatus({
      view: this.current(),
      rows: this.#ring?.rows ?? new Map(),
      ageMs: (id) => {
        const beat = this.#beats.get(id);
        return id === ownId ? 0 : beat && nowMs - beat.atMs;
      },
      unhealthyMs: config.ring.heartbeatTimeoutMs,
      holdsOf: (id) => this.#holdsOf(id),
      isReached: (id) => id === ownId || this.#meetings.isReached(id),
    });
  }

  /** Why taking a member out could lose samples; undefined: it does not. */
  forgettingIsUnsafe(id: string): string | undefined {
    if (this.#ageMs(id) <= this.#options.config.ring.heartbeatTimeoutMs) {
      return `${id} shows that it lives: let it drain, or end it first`;
    }
    if (this.current() === undefined || this.#areOthersWell(id)) return undefined;
    return `others that hold what ${id} holds are not all healthy and complete, or there are none: what only it has would be missing`;
  }

  /** Time since a member's last heartbeat, as it came here. */
  #ageMs(id: string): number {
    if (id === this.member?.id) return 0;
    const beat = this.#beats.get(id);
    return beat === undefined ? Number.POSITIVE_INFINITY : this.#options.clock.monotonicMs() - beat.atMs;
  }

  /** Whether all that own arcs with a member are healthy and complete. */
  #areOthersWell(id: string): boolean {
    const view = this.current();
    const rows = this.#ring?.rows ?? new Map<string, MemberRow>();
    const unhealthyMs = this.#options.config.ring.heartbeatTimeoutMs;
    return view !== undefined && areOthersWell({ view, rows, ageMs: (each) => this.#ageMs(each), unhealthyMs }, id);
  }

  /** Whether this process can be started again without anybody missing it. */
  get #canBeAway(): boolean {
    const { member } = this;
    const isIn = member !== undefined && member.standing !== undefined && member.standing !== 'out';
    return !isIn || this.#areOthersWell(member.id);
  }

  /**
   * Looks for where members are now, in the store of the ring and with all others: those that were started elsewhere say so there.
   * Resolves when both were asked, or after a time.
   */
  async #seek(ids: readonly string[]): Promise<void> {
    const { clock } = this.#options;
    const limit = timeout(clock, SEEK_MS_MAX);
    const late = new Promise<void>((resolve) =>
      limit.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    const looks = ids.filter((id) => id !== this.member?.id).map((id) => this.#lookFor(id));
    await Promise.race([late, Promise.all([...looks, this.#meetings.nextRound()])]);
    limit.cancel();
  }

  #lookFor(id: string): Promise<void> {
    const under = this.#sought.get(id);
    if (under !== undefined) return under;
    const looks = (this.#ring?.lookFor(id) ?? Promise.resolve())
      // the store is away: others may know
      .catch(() => {})
      .finally(() => this.#sought.delete(id));
    this.#sought.set(id, looks);
    return looks;
  }

  /** Takes note of heartbeats that came since it was last asked. */
  #seeBeats(): void {
    const rows = this.#ring?.rows ?? new Map<string, MemberRow>();
    for (const [id, { beat }] of rows) {
      const before = this.#beats.get(id);
      if (before?.beat !== beat) this.#beats.set(id, { beat, atMs: this.#options.clock.monotonicMs() });
    }
    for (const id of this.#beats.keys()) if (!rows.has(id)) this.#beats.delete(id);
    const chain = this.current()?.chain ?? [];
    this.#places.keep(new Set([...rows.keys(), ...chain.flatMap(({ members }) => members.map(({ id }) => id))]));
  }

  #changed(view: RingView): void {
    const members = view.chain.flatMap((version) => version.members);
    const addresses = members.flatMap(({ id, address }) => [this.#places.addressOf(id) ?? address, address]);
    this.members.keep([...addresses, ...this.#options.config.ring.seedAddresses]);
    if (view.newest.number !== this.#toldNumber) this.#meetings.soon();
    this.#toldNumber = view.newest.number;
    for (const listener of this.#listeners) listener(view);
  }

  /** Settings of the cluster as they are kept here, for another process; empty: none are, or it is this process that asks. */
  #settingsFor(peer: string): Uint8Array {
    const { known } = this.#settings;
    const isOwn = peer === this.#nonce || peer === this.member?.id;
    return known === undefined || isOwn ? new Uint8Array(0) : encodeSettings(known);
  }

  /** Settings of the cluster as the first of `-ring.seed-addresses` knows them that does. */
  async #askSettings(signal: AbortSignal): Promise<KeptSettings | undefined> {
    const { seedAddresses } = this.#options.config.ring;
    return Promise.any(seedAddresses.map((address) => this.#settingsAt(address, signal))).catch(() => undefined);
  }

  /** Settings of the cluster as seeds and members of the newest version know them. */
  async #askAllSettings(signal: AbortSignal): Promise<OthersSettings> {
    const members = (await newestMembers(this.#options.kv, signal)).map(({ id, address }) => ({
      id,
      address: this.#places.addressOf(id) ?? address,
    }));
    const others = members.filter(({ id, address }) => id !== this.member?.id && address !== this.address);
    const addresses = new Set([...this.#options.config.ring.seedAddresses, ...others.map(({ address }) => address)]);
    const asked = await Promise.allSettled([...addresses].map((address) => this.#settingsAt(address, signal)));
    const told = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    return { asked: addresses.size, told };
  }

  async #settingsAt(address: string, signal: AbortSignal): Promise<KeptSettings> {
    const { body } = await this.#callers.at(address).call('settings', {}, undefined, { signal, timeoutMs: ASK_MS_MAX });
    const settings = decodeSettings(body);
    if (settings === undefined) throw new Error('it knows none');
    return settings;
  }

  /** Who is asked what it knows: all members, and those that seeds name while no version is known. */
  #whom(): string[] {
    this.#seeBeats();
    const view = this.current();
    if (view === undefined) return [...this.#options.config.ring.seedAddresses];
    const ids = new Set(view.chain.flatMap(({ members }) => members.map(({ id }) => id)));
    ids.delete(this.member?.id ?? '');
    return [...ids];
  }

  /** The ingester of this process for the listener, which is there before it. */
  #ingester(): ServedIngester {
    const served = () => {
      if (this.#served === undefined) throw writeErrors.ownerAway({ reason: 'it is starting' });
      return this.#served;
    };
    return {
      target: {
        push: async (request) => served().target.push(request),
        setMetadata: async (request) => served().target.setMetadata(request),
      },
      reader: {
        select: async (...asked) => served().reader.select(...asked),
        labels: async (...asked) => served().reader.labels(...asked),
        metadata: async (...asked) => served().reader.metadata(...asked),
        headStats: async (...asked) => served().reader.headStats(...asked),
        exemplars: async (...asked) => served().reader.exemplars(...asked),
      },
      admin: {
        flush: async (...asked) => served().admin.flush(...asked),
        deleteTenant: async (...asked) => served().admin.deleteTenant(...asked),
        deletionsReadMs: async () => served().admin.deletionsReadMs(),
        tenantSeries: async () => served().admin.tenantSeries(),
        seriesOf: async (...asked) => served().admin.seriesOf(...asked),
      },
    };
  }
}
