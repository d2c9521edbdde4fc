import { workerData } from 'node:worker_threads';
import { SharedLogins } from '../http/shared-logins.ts';
import { ThreadsRoom, type ThreadsRoomMemory } from './threads-room.ts';
import { serveWorker } from './worker.ts';

const { memory, logins, thread } = workerData as {
  readonly memory: ThreadsRoomMemory;
  readonly logins: SharedArrayBuffer;
  readonly thread: number;
};
const room = new ThreadsRoom(memory, thread);
const brake = new SharedLogins(logins, () => 0);

/** Takes and gives in one go, as the tests of a room that threads share want it. */
const role = {
  /** Takes again and again, and keeps it. @returns what it got */
  takeAll({ owner, amount, times }: { owner: string; amount: number; times: number }): number {
    let got = 0;
    for (let i = 0; i < times; i++) if (room.take(owner, amount)) got += amount;
    return got;
  },
  /** @returns the most that all threads held at any look */
  churn({ owners, amount, rounds }: { owners: readonly string[]; amount: number; rounds: number }): number {
    let most = 0;
    const held: string[] = [];
    for (let i = 0; i < rounds; i++) {
      const owner = owners[i % owners.length]!;
      if (room.take(owner, amount)) held.push(owner);
      if (held.length > 3) room.give(held.shift()!, amount);
      most = Math.max(most, held.length);
    }
    for (const owner of held) room.give(owner, amount);
    return most;
  },
  give: ({ owner, amount }: { owner: string; amount: number }) => room.give(owner, amount),
  fail({ network, times }: { network: string; times: number }): number {
    let tried = 0;
    for (let i = 0; i < times; i++) {
      if (!brake.mayTry(network)) continue;
      tried++;
      brake.failed(network);
    }
    return tried;
  },
  know: ({ network, digest }: { network: string; digest: string }) => brake.know(network, digest),
  knows: ({ network, digest }: { network: string; digest: string }) => brake.isKnown(network, digest),
};

export type RoomRole = typeof role;

serveWorker(role);
