import type { Logger } from '../../kit/observe/log.ts';
import type { Registry } from '../../kit/observe/metrics.ts';
import { PeerCredentials, type PeerFiles } from '../../kit/rpc/credentials.ts';
import { peerMetrics, servedMetrics } from '../../kit/rpc/metrics.ts';
import type { RpcCaller, RpcRole } from '../../kit/rpc/role.ts';
import { checkClosed, hostAndPort, isProtected } from '../../kit/rpc/security.ts';
import { RpcServer } from '../../kit/rpc/server.ts';
import type { Loops } from '../../kit/service/loops.ts';
import type { Service, Stop } from '../../kit/service/service.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { advertisedAddress, listenAddressOf, type PeerAddressSettings } from './peer-address.ts';
import { PeerCallers } from './peer-callers.ts';
import type { ThreadPeers } from './thread-peers.ts';

/** Where other processes ask this one: a process of a cluster with a ring, or one that only shares a store. */
export interface PeerHost {
  /** Known once it has started. Empty: nobody asks it. */
  readonly address: string;
  /** Answers these methods, too. */
  answer(role: RpcRole): void;
  threadPeers(): ThreadPeers;
  /** The way to a process by its address, from this thread. */
  caller(address: string): RpcCaller;
  /** Ends the connection with it. */
  forget(address: string): void;
}

export interface PeerListenerOptions {
  readonly settings: PeerFiles & PeerAddressSettings;
  /** Others have its address in their settings: it listens there or not at all. */
  readonly isSought?: boolean;
  /**
   * Whether users must prove who they are: then no account of this machine may pass by that, and without key or certificates
   * it does not listen, or does not start where others have its address in their settings.
   */
  readonly isClosed?: () => boolean;
  readonly loops: Loops;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
}

/** Listens for processes that share a store with this one, where there is no ring. */
export class PeerListener implements Service, PeerHost {
  readonly name = 'peer-listener';
  readonly #options: PeerListenerOptions;
  readonly #credentials: PeerCredentials;
  readonly #role: Record<string, RpcRole[string]> = {};
  readonly #self = { name: Buffer.from(systemBytes(8)).toString('hex'), cluster: {} };
  readonly #metrics: ReturnType<typeof servedMetrics>;
  readonly #callers: PeerCallers;
  #server: RpcServer | undefined;
  #isDeaf = false;
  #refreshes: Timer | undefined;

  /** @throws where its address or the files of its security are wrong */
  constructor(options: PeerListenerOptions) {
    const { settings, registry, clock } = options;
    this.#options = options;
    this.#credentials = PeerCredentials.read(settings);
    this.#metrics = servedMetrics(registry);
    const security = () => this.#credentials.current;
    this.#callers = new PeerCallers({ self: this.#self, security, clock, metrics: peerMetrics(registry) });
    listenAddressOf(settings.peerListenAddress);
    if (settings.peerAdvertiseAddress !== '') hostAndPort(settings.peerAdvertiseAddress);
  }

  get address(): string {
    if (this.#isDeaf) return '';
    if (this.#server === undefined) throw new Error('bug: asked for an address before the start');
    return advertisedAddress(this.#options.settings, this.#server.port);
  }

  answer(role: RpcRole): void {
    Object.assign(this.#role, role);
  }

  threadPeers(): ThreadPeers {
    return { self: this.#self, files: this.#options.settings };
  }

  caller(address: string): RpcCaller {
    return this.#callers.at(address);
  }

  forget(address: string): void {
    this.#callers.forget(address);
  }

  async start(): Promise<void> {
    const { settings, isSought = false, isClosed, clock, loops, log } = this.#options;
    if (isSought) checkClosed(isClosed?.() === true, this.#credentials.current);
    if (isClosed?.() && !isProtected(this.#credentials.current)) {
      this.#isDeaf = true;
      log.warn(
        'users are configured, and other processes have nothing to prove themselves by: this one does not listen for them, its Alertmanager works alone, and nobody asks its ruler; where several share the store set -server.peer-key-file or -server.peer-tls-cert-path, or -server.peer-insecure where every account that gets there is trusted',
      );
      return;
    }
    const { host, port } = listenAddressOf(settings.peerListenAddress);
    try {
      this.#server = await this.#listening(host, port);
    } catch (thrown) {
      const isTaken = (thrown as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isTaken || isSought || settings.peerAdvertiseAddress !== '') throw thrown;
      // others read in its row where it is
      log.warn({ address: settings.peerListenAddress }, 'the address for other processes is taken: any free port is');
      this.#server = await this.#listening(host, 0);
    }
    this.#refreshes = this.#credentials.watch(clock, loops, log, () => this.#server?.securityChanged());
  }

  async stop(stop: Stop): Promise<void> {
    this.#refreshes?.cancel();
    this.#callers.close();
    await this.#server?.stop(stop);
  }

  async #listening(host: string, port: number): Promise<RpcServer> {
    const { clock, log } = this.#options;
    const server = new RpcServer({
      host,
      port,
      self: this.#self,
      security: () => this.#credentials.current,
      role: this.#role,
      clock,
      log,
      metrics: this.#metrics,
    });
    await server.start();
    return server;
  }
}
