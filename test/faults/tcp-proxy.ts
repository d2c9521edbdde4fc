import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Random, seededRandom } from '../../src/lib/random.ts';

/** A network's effects on connections. They may be changed while a test runs; connections that are there already feel it too. */
export interface Weather {
  /** Each piece of data waits up to so long. */
  delayMs?: number;
  /** Chance, for each piece of data, that the connection is cut there. */
  cut?: number;
  /** Chance, for each piece of data, that nothing passes from then on and nobody is told. */
  stall?: number;
  /** New connections are closed at once. */
  refuse?: boolean;
}

/** Stands on a port of its own in front of a service on this machine. */
export class TcpProxy {
  weather: Weather = {};
  /** How many connections were made, and how many were cut or stalled. */
  connections = 0;
  broken = 0;
  readonly #target: number;
  readonly #random: Random;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stalled = new WeakSet<Socket>();

  private constructor(target: number, random: Random) {
    this.#target = target;
    this.#random = random;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#serve(client));
  }

  static async listen(targetPort: number, random: Random = seededRandom(1)): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, random);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection there is. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets nothing more through on the connections there are, and tells nobody. */
  stallAll(): void {
    for (const socket of this.#sockets) this.#stalled.add(socket);
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    if (this.weather.refuse) {
      client.destroy();
      return;
    }
    this.connections++;
    const server = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {}); // a cut is what this is for
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    this.#pump(client, server);
    this.#pump(server, client);
  }

  #pump(from: Socket, to: Socket): void {
    let stalled = false;
    from.on('data', (data) => {
      const { delayMs, cut, stall } = this.weather;
      if (stalled || this.#stalled.has(from)) return;
      if (this.#random() < (cut ?? 0)) {
        this.broken++;
        from.destroy();
        return;
      }
      if (this.#random() < (stall ?? 0)) {
        this.broken++;
        stalled = true;
        return;
      }
      from.pause(); // one piece at a time keeps their order
      const pass = () => {
        if (to.destroyed || from.destroyed) return;
        to.write(data);
        from.resume();
      };
      if (delayMs) setTimeout(pass, this.#random() * delayMs);
      else pass();
    });
    from.on('end', () => {
      if (!stalled) to.end();
    });
  }
}
