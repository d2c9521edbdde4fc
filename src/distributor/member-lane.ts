import type { MemberTarget } from '../contract/member.ts';

/** Bytes of frames that one member may have under way from an edge: one that hangs holds no more memory than that, and counts as away. */
const LANE_BYTES_MAX = 64 * 1024 * 1024;

/** The way from an edge to one member of the ring. */
export class MemberLane {
  readonly id: string;
  readonly target: MemberTarget;
  /** Whether it takes frames with keys. */
  keysTaken = false;
  #bytes = 0;

  constructor(id: string, target: MemberTarget) {
    this.id = id;
    this.target = target;
  }

  get isIdle(): boolean {
    return this.#bytes === 0;
  }

  /** Counts frames as under way until `leave`. False: there are too many. */
  enter(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > LANE_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
  }
}
