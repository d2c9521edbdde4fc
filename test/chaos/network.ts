import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { decodeValue } from '../../src/kit/rpc/codec.ts';
import { HEADER_BYTES, PROOF } from '../../src/kit/rpc/frame.ts';

/**
 * The network between processes: in front of each one's peer listener stands a proxy, whose address is the one that it advertises.
 * Who calls is read from its first words, so that a way may be cut in one direction only. What is sent over a way that is cut waits, as
 * packets do that are sent again and again, and comes late if its connection lives so long.
 */
export class Network {
  /** `from>to` */
  readonly #cuts = new Set<string>();
  readonly #links = new Set<Link>();
  readonly #servers: Server[] = [];

  /** Opens the advertised address of a process. @returns its port */
  async listen(name: string, targetPort: () => number): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (caller) => {
      const link = new Link(caller, targetPort(), name, (from, to) => this.#cuts.has(`${from}>${to}`));
      this.#links.add(link);
      caller.on('close', () => this.#links.delete(link));
    });
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  }

  /** Cuts ways between a process and others. @param direction what of it no longer arrives: all, what it says, or what it is told */
  cut(name: string, others: Iterable<string>, direction: 'both' | 'out' | 'in'): void {
    for (const other of others) {
      if (other === name) continue;
      if (direction !== 'in') this.#cuts.add(`${name}>${other}`);
      if (direction !== 'out') this.#cuts.add(`${other}>${name}`);
    }
    this.#look();
  }

  /** Ends all cuts that touch a process. */
  heal(name: string): void {
    for (const cut of this.#cuts) if (cut.split('>').includes(name)) this.#cuts.delete(cut);
    this.#look();
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.end();
    await Promise.all(this.#servers.map((server) => new Promise((done) => server.close(done))));
  }

  #look(): void {
    for (const link of this.#links) link.look();
  }
}

/** A connection between two processes. */
class Link {
  readonly #caller: Socket;
  readonly #listener: Socket;
  readonly #to: string;
  readonly #isCut: (from: string, to: string) => boolean;
  #from: string | undefined;
  /** Words of the caller that were not passed on, or not read. */
  #words: Buffer = Buffer.alloc(0);
  #passed = 0;
  readonly #flows = { out: true, back: true };

  constructor(caller: Socket, port: number, to: string, isCut: (from: string, to: string) => boolean) {
    this.#caller = caller;
    this.#to = to;
    this.#isCut = isCut;
    this.#listener = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [caller, this.#listener]) {
      socket.setNoDelay(true);
      socket.on('error', () => {}); // ends of processes are what this is for
      socket.on('close', () => this.end());
    }
    this.#listener.pipe(caller);
    caller.on('data', this.#hear);
  }

  end(): void {
    this.#caller.destroy();
    this.#listener.destroy();
  }

  /** Lets each direction flow, or not. */
  look(): void {
    if (this.#from === undefined) return;
    this.#flow('out', this.#caller, this.#listener, !this.#isCut(this.#from, this.#to));
    this.#flow('back', this.#listener, this.#caller, !this.#isCut(this.#to, this.#from));
  }

  /** Passes on what the caller says until it has said who it is. */
  readonly #hear = (data: Buffer): void => {
    this.#words = Buffer.concat([this.#words, data]);
    for (;;) {
      const rest = this.#words.subarray(this.#passed);
      if (rest.length < HEADER_BYTES) return;
      const bytes = rest.readUInt32LE(0);
      if (bytes < HEADER_BYTES || rest.length < bytes) return;
      const kind = rest.readUInt32LE(12);
      if ((kind & 0xff) === PROOF) {
        const { said } = decodeValue(rest.subarray(HEADER_BYTES, HEADER_BYTES + (kind >>> 8))) as { said: Uint8Array };
        const { name } = decodeValue(said) as { name: string };
        // a member's id, or a name and the nonce of a process that is none
        this.#from = name.split(/[-/]/)[0]!;
        break;
      }
      this.#listener.write(rest.subarray(0, bytes));
      this.#passed += bytes;
    }
    this.#caller.off('data', this.#hear);
    this.#caller.pause();
    this.#caller.unshift(this.#words.subarray(this.#passed));
    this.#words = Buffer.alloc(0);
    this.#flows.out = false;
    this.look();
  };

  #flow(way: 'out' | 'back', from: Socket, to: Socket, isOpen: boolean): void {
    if (this.#flows[way] === isOpen) return;
    this.#flows[way] = isOpen;
    if (isOpen) from.pipe(to);
    else {
      from.unpipe(to);
      from.pause();
    }
  }
}
