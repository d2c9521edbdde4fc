import { OUT_OF_ORDER } from '../contract/ingest.ts';
import type {
  MemberAnswer,
  MemberMetadata,
  MemberMetadataAnswer,
  MemberPush,
  MemberTarget,
} from '../contract/member.ts';
import type { RingStamp } from '../contract/ring-stamp.ts';
import { decodeLabels } from '../model/canonical.ts';
import type { RingSource, RingView } from '../ring/view.ts';
import { FRAME_ASIDE, SAMPLE_BYTES, SAMPLE_TIME_AT, SAMPLE_VALUE_AT } from '../wire/frame-layout.ts';
import { encodeRefusals, type FrameRefusal } from '../wire/frame-refusals.ts';
import { FrameView } from '../wire/frames.ts';
import type { RingTargets } from './ring-route.ts';

// Members of a ring for tests: they hold samples in maps.

/** Takes frames with labels, as an ingester does. */
export class FakeMember implements MemberTarget {
  /** Labels → time → value. */
  readonly held = new Map<string, Map<number, number>>();
  readonly metadata: string[] = [];
  pushes = 0;
  /** Called before a push is looked at; may throw, or wait. */
  before: (request: MemberPush | MemberMetadata) => Promise<void> | void = () => {};
  /** Series that this member refuses whatever comes. */
  refuses: (labels: string) => boolean = () => false;
  newer: RingStamp | undefined;

  async push(request: MemberPush): Promise<MemberAnswer> {
    this.pushes++;
    await this.before(request);
    if (this.#isOld(request)) return { newer: this.newer, exemplarsLost: 0, unknown: [], keysTaken: false };
    const { frames } = request;
    const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
    const refusals: FrameRefusal[] = [];
    let number = 0;
    for (const frame = new FrameView(frames); frame.next(); number++) {
      const labels = decodeLabels(frames, frame.labelsAt, frame.labelsAt + frame.labelsBytes).toString();
      if (frame.has(FRAME_ASIDE)) continue;
      if (this.refuses(labels)) {
        const { samples } = frame;
        refusals.push({ frame: number, reason: OUT_OF_ORDER, samples, histograms: 0, timeMs: 1, newestMs: 2 });
        continue;
      }
      const own = this.held.get(labels) ?? new Map<number, number>();
      this.held.set(labels, own);
      for (let i = 0; i < frame.samples; i++) {
        const at = frame.samplesAt + i * SAMPLE_BYTES;
        own.set(Number(view.getBigInt64(at + SAMPLE_TIME_AT, true)), view.getFloat64(at + SAMPLE_VALUE_AT, true));
      }
    }
    const told = refusals.length > 0 ? { refusals: encodeRefusals(refusals) } : {};
    return { ...told, exemplarsLost: 0, unknown: [], keysTaken: false, tenantSeries: this.held.size };
  }

  async setMetadata(request: MemberMetadata): Promise<MemberMetadataAnswer> {
    await this.before(request);
    if (this.#isOld(request)) return { newer: this.newer, refused: {} };
    this.metadata.push(...request.entries.map(({ metric }) => metric));
    return { refused: {} };
  }

  #isOld({ version }: { readonly version: RingStamp }): boolean {
    return this.newer !== undefined && this.newer.number > version.number;
  }
}

/** A ring that a test moves on. */
export class FakeRing implements RingTargets {
  readonly members = new Map<string, MemberTarget>();
  view: RingView | undefined;
  /** The view that `learn` finds. */
  next: RingView | undefined;
  readonly source: RingSource = { current: () => this.view, onChange: () => () => {} };

  member(id: string): MemberTarget | undefined {
    return this.members.get(id);
  }

  async learn(): Promise<void> {
    this.view = this.next ?? this.view;
  }
}
