import { RpcClient, type RpcClientOptions } from '../../kit/rpc/client.ts';
import type { RpcCaller } from '../../kit/rpc/role.ts';

/** Addresses that are kept: those of schedulers and front ends. */
const ADDRESSES_MAX = 1024;

/** The ways to other processes that are named by their addresses, a connection to each, made when it is first needed. */
export class PeerCallers {
  readonly #options: Omit<RpcClientOptions, 'address'>;
  /** The least recently asked first. */
  readonly #byAddress = new Map<string, RpcClient>();

  constructor(options: Omit<RpcClientOptions, 'address'>) {
    this.#options = options;
  }

  at(address: string): RpcCaller {
    const client = this.#byAddress.get(address) ?? new RpcClient({ ...this.#options, address });
    this.#byAddress.delete(address);
    this.#byAddress.set(address, client);
    for (const [other, { inflight }] of this.#byAddress) {
      if (this.#byAddress.size <= ADDRESSES_MAX) break;
      if (inflight === 0) this.forget(other);
    }
    return client;
  }

  /** Ends the connection. */
  forget(address: string): void {
    this.#byAddress.get(address)?.close();
    this.#byAddress.delete(address);
  }

  close(): void {
    for (const address of [...this.#byAddress.keys()]) this.forget(address);
  }
}
