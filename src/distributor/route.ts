import type { FrameView } from '../wire/frames.ts';
import type { EdgeLimits, EdgePush } from './edge-push.ts';
import type { FramePart } from './frame-parts.ts';
import type { Judged } from './judged.ts';
import type { Lost } from './push-outcome.ts';

// Where an edge sends what it has checked: to the shards of its process (`ShardRoute`), or to the owners on the ring (`RingRoute`).

export interface Route {
  /** Whether it is worth naming series by their keys: those who take none get labels all the same. */
  readonly takesKeys: boolean;
  /** @throws AppError where nobody is there to send to */
  begin(request: EdgePush, limits: EdgeLimits): Sending;
}

/** One request on its way. */
export interface Sending {
  /** Whether its frames must carry the hash of their labels. */
  readonly hashLabels: boolean;
  /** The target that all its frames go to; undefined: there are several. */
  readonly onlyTarget: number | undefined;
  /** Number of the target that a frame goes to, or of the owners that it goes to. Small: parts are collected by it. */
  targetOf(frame: FrameView): number;
  /**
   * Sends everything, and adds what was refused to `judged` and `lost`.
   * @returns series of the tenant where it was sent to; undefined: not known
   * @throws AppError where a sender must send again
   */
  send(outgoing: Outgoing): Promise<number | undefined>;
  /** Resolves when nobody asks for `labelled` any more, which may be long after `send`: to be called once that is through. Never rejects. */
  through(): Promise<void>;
}

/** Frames to be sent, and what is known of their request. */
export interface Outgoing {
  readonly judged: Judged;
  readonly lost: Lost;
  /** Whether frames may name series by their keys. */
  readonly hasKeys: boolean;
  /** Each part for a target (`targetOf`). May hold on to memory that others wait for until it is through. */
  readonly parts: Iterable<FramePart>;
  /** The same frames once more, in the same order, all with labels: to be walked through in one go. */
  labelled(): Iterable<FramePart>;
  /** The key of a series that `labelled` has just given; undefined where its labels are very long. */
  keyOf(labels: Uint8Array): string | undefined;
}
