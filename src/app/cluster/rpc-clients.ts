import { RpcClient } from '../../kit/rpc/client.ts';
import { PeerCredentials, type PeerFiles } from '../../kit/rpc/credentials.ts';
import type { PeerSelf } from '../../kit/rpc/handshake.ts';
import type { RpcCaller } from '../../kit/rpc/role.ts';
import type { Clock } from '../../lib/clock.ts';

export interface RpcClientsOptions {
  readonly self: PeerSelf;
  readonly files: PeerFiles;
  readonly clock: Clock;
}

const REFRESH_MS = 30_000;
/** Addresses that are kept: the oldest goes. */
const ADDRESSES_MAX = 1_000;

/** The ways from one thread to processes that share a store with it: a connection to each address, made when it is first needed. */
export class RpcClients {
  readonly #options: RpcClientsOptions;
  readonly #credentials: PeerCredentials;
  readonly #byAddress = new Map<string, RpcClient>();

  constructor(options: RpcClientsOptions) {
    this.#options = options;
    this.#credentials = PeerCredentials.read(options.files);
    options.clock.every(REFRESH_MS, () => {
      try {
        this.#credentials.refresh();
      } catch {
        // the main thread says so
      }
    });
  }

  at(address: string): RpcCaller {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const [oldest] = this.#byAddress.keys();
    if (oldest !== undefined && this.#byAddress.size >= ADDRESSES_MAX) {
      this.#byAddress.get(oldest)!.close();
      this.#byAddress.delete(oldest);
    }
    const { self, clock } = this.#options;
    const client = new RpcClient({ address, self, security: () => this.#credentials.current, clock });
    this.#byAddress.set(address, client);
    return client;
  }
}
