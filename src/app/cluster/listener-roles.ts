import type { MessagePort } from 'node:worker_threads';
import type { MemberAnswer, MemberMetadata, MemberMetadataAnswer, MemberPush } from '../../contract/member.ts';
import type { HeldDays } from '../../distributor/late-samples.ts';
import type { CallContext } from '../../kit/thread/channel.ts';
import type { ThreadPeers } from './thread-peers.ts';

// The main thread and a shard's, where the shard's listens for other processes.

/** This member in the ring, as the main thread knows it. */
export interface MemberStanding {
  /** Counts its changes. */
  readonly change: number;
  /** The newest version; 0: none is known. */
  readonly number: number;
  readonly hash: string;
  /** Version under which writes are taken, the newest that counts; 0: none are. Those under others are the main thread's. */
  readonly writing: number;
  /** Why reads are refused; undefined: they are answered. */
  readonly refused: string | undefined;
  /** Unix ms until which they are; then the main thread is to be asked again. */
  readonly readsUntilMs: number;
}

/** Address, name and methods with which a shard's thread listens. */
export interface ListenRequest {
  readonly host: string;
  readonly port: number;
  readonly peers: ThreadPeers;
  /** Methods that the main thread answers. */
  readonly methods: readonly string[];
  /** An Int32: `change` of the standing that holds now. One that is told with another is old. */
  readonly change: SharedArrayBuffer;
  /** Where the main thread answers (`ListenerHostRole`). */
  readonly calls: MessagePort;
}

/** A call of another process, on its way to the main thread. */
export interface ForwardedCall {
  readonly method: string;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
  readonly peer: string;
}

/** The main thread's end. */
export type ListenerHostRole = {
  standing(request: Record<string, never>): MemberStanding;
  push(request: MemberPush): Promise<MemberAnswer>;
  setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer>;
  /** Marks days as changed, as `LateSamples.note`. Resolves with those that need no mark for a while. */
  noteLate(request: { readonly tenant: string; readonly fromMs: number }): Promise<HeldDays | undefined>;
  call(request: ForwardedCall, call: CallContext): Promise<{ readonly head: Uint8Array; readonly body: Uint8Array }>;
};
