import { once } from 'node:events';
import { MessageChannel, workerData } from 'node:worker_threads';
import { writeErrors } from '../../model/errors-write.ts';
import { type CallContext, type Role, Transferred } from './channel.ts';
import { serveWorker } from './worker.ts';

let aborted = 0;

/** The role that the pool's tests talk to. */
const role = {
  add: ({ value }: { value: number }) => value + (workerData as number),
  reverse(bytes: Uint8Array<ArrayBuffer>) {
    bytes.reverse();
    return Transferred.of(bytes, [bytes.buffer]);
  },
  fail({ limit }: { limit: number }): never {
    throw writeErrors.perUserSeriesLimit({ limit });
  },
  die(): void {
    process.exit(3);
  },
  hoard(): number {
    const held: number[][] = [];
    for (;;) held.push(Array.from({ length: 10_000 }, (_, i) => i + 0.5));
  },
  async wait({ ms }: { ms: number }, { signal }: CallContext): Promise<void> {
    const timer = setTimeout(() => {}, ms);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    clearTimeout(timer);
    aborted++;
  },
  /** Tells its caller how many there will be, through a port the rest; the answer comes when the port is closed. */
  async count({ upTo }: { upTo: number }, { begin }: CallContext): Promise<string> {
    const { port1, port2 } = new MessageChannel();
    begin({ upTo, port: port2 }, [port2]);
    for (let i = 1; i <= upTo; i++) port1.postMessage(i);
    await once(port1, 'close');
    return 'all taken';
  },
  sleep: ({ ms }: { ms: number }) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  aborted: () => aborted,
} satisfies Role;

export type TestRole = typeof role;

serveWorker(role);
