import type { FrameLimits, FrameTarget } from '../contract/ingest.ts';
import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import { localArcOf, metricHashOf, shardOfArc } from '../ring/slots.ts';
import type { BufferPool } from '../wire/buffer-pool.ts';
import { FRAME_HEADER_BYTES } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import type { EdgeLimits, EdgePush } from './edge-push.ts';
import { type FramePart, frameParts } from './frame-parts.ts';
import { type LocalSlots, WHOLE } from './local-slots.ts';
import { metadataParts } from './metadata-parts.ts';
import { addLost, addResult, seriesPerMetric, seriesPerUser } from './push-outcome.ts';
import { countRefused } from './refusals.ts';
import type { Outgoing, Route, Sending } from './route.ts';
import { keyText } from './scratch.ts';
import { SeriesTally, type TenantTally } from './series-tally.ts';

/** The way to the shards of this process: each sample goes to one of them. */
export class ShardRoute implements Route {
  readonly targets: readonly FrameTarget[];
  readonly buffers: BufferPool;
  readonly tally: SeriesTally;
  /** By target: whether it takes keys. */
  readonly keysTaken: boolean[];

  constructor(targets: readonly FrameTarget[], buffers: BufferPool, clock: Clock) {
    this.targets = targets;
    this.buffers = buffers;
    this.tally = new SeriesTally(targets, clock);
    this.keysTaken = targets.map(() => false);
  }

  /** Targets of one process replay at the same time: one that takes no keys yet speaks for all. */
  get takesKeys(): boolean {
    return this.keysTaken.every((taken) => taken);
  }

  begin(request: EdgePush, limits: EdgeLimits): Sending {
    return new ShardSending(this, request, limits);
  }
}

class ShardSending implements Sending {
  readonly hashLabels = false;
  readonly onlyTarget: number | undefined;
  readonly #route: ShardRoute;
  readonly #request: EdgePush;
  readonly #limits: EdgeLimits;
  readonly #slots: LocalSlots;
  readonly #targetOfBucket: number[] = [];

  constructor(route: ShardRoute, request: EdgePush, limits: EdgeLimits) {
    this.#route = route;
    this.#request = request;
    this.#limits = limits;
    const { slots = WHOLE } = request;
    this.#slots = slots;
    if (route.targets.length === 1) this.onlyTarget = 0;
    else this.onlyTarget = slots.buckets === 1 ? this.#targetOfMetric(0) : undefined;
  }

  targetOf(frame: FrameView): number {
    if (this.onlyTarget !== undefined) return this.onlyTarget;
    const bucket = frame.metricHash & (this.#slots.buckets - 1);
    this.#targetOfBucket[bucket] ??= this.#targetOfMetric(bucket);
    return this.#targetOfBucket[bucket];
  }

  /** The shard of a metric, by its slot: what the store has together is together here too. */
  #targetOfMetric(metricHash: number): number {
    return shardOfArc(localArcOf(this.#request.tenant, metricHash, this.#slots.buckets), this.#route.targets.length);
  }

  /** All targets have answered when `send` is through. */
  async through(): Promise<void> {}

  /** Sends frames part after part to each target. */
  async send(outgoing: Outgoing): Promise<number | undefined> {
    const { targets, tally: tallies, keysTaken, buffers } = this.#route;
    const { tenant } = this.#request;
    const limits = this.#limits;
    const { judged, lost, parts } = outgoing;
    if (judged.metadata.length > 0) await this.#setMetadata(outgoing);
    const perUser = seriesPerUser(limits);
    const frameLimits: FrameLimits = {
      seriesPerUserMax: perUser.limit,
      seriesPerMetricMax: seriesPerMetric(limits).limit,
      outOfOrderMs: limits.outOfOrderTimeWindowMs,
      exemplarsMax: Math.ceil(limits.maxExemplars / Math.min(targets.length, this.#slots.buckets)),
      oldWindowsMax: limits.maxOldWindowsPerUser,
    };
    /** Series of the tenant, by target. */
    const held = new Map<number, number>();
    /** Keys of series that a target does not have, by target. */
    const unknown = targets.map(() => new Set<string>());
    const push = async ({ target, frames }: FramePart, tally: TenantTally | undefined): Promise<void> => {
      const { length } = frames;
      const sent = await targets[target]!.push({
        tenant,
        frames: frames.buffer,
        bytes: length,
        limits: tally === undefined ? frameLimits : { ...frameLimits, seriesElsewhere: tally.others(target) },
      });
      tally?.report(target, sent.tenantSeries);
      if (sent.tenantSeries !== undefined) held.set(target, sent.tenantSeries);
      keysTaken[target] = sent.keysTaken;
      addResult(judged.refusals, sent.result, limits);
      addLost(lost, sent.result);
      const back = new Uint8Array(sent.frames, 0, length);
      for (const at of sent.result.unknown) unknown[target]!.add(keyText(back, at + FRAME_HEADER_BYTES));
      buffers.give(sent.frames);
    };
    const pushAll = async (tally?: TenantTally, oneByOne = false): Promise<void> => {
      const pushPart = (part: FramePart) => push(part, tally);
      await this.#pushAll(parts, pushPart, oneByOne);
      // a key is unknown for all parts alike, so what comes again keeps its order
      if (unknown.some(({ size }) => size > 0))
        await this.#pushAll(this.#unknownParts(outgoing, unknown), pushPart, oneByOne);
    };
    if (perUser.limit === 0 || targets.length === 1) await pushAll();
    else {
      const { moved } = this.#slots;
      await tallies.run(tenant, { series: judged.series, limit: perUser.limit, moved }, pushAll);
    }
    return held.size === 0 ? undefined : [...held.values()].reduce((sum, series) => sum + series, 0);
  }

  /** Part by part, so that others come in between. */
  async #setMetadata({ judged }: Outgoing): Promise<void> {
    const { maxMetadataPerUser: metricsMax, maxMetadataPerMetric: perMetricMax } = this.#limits;
    const { tenant } = this.#request;
    const limits = { metricsMax, perMetricMax };
    for (const [target, own] of this.#metadataByTarget(judged.metadata)) {
      for (const entries of metadataParts(own)) {
        const refused = await this.#route.targets[target]!.setMetadata({ tenant, entries, limits });
        for (const [reason, count] of Object.entries(refused)) countRefused(judged.metadataRefusals, reason, count);
      }
    }
  }

  /** Metadata lies where its metric does: with its series it goes to the store. */
  #metadataByTarget(entries: readonly MetricMetadata[]): ReadonlyMap<number, readonly MetricMetadata[]> {
    if (this.onlyTarget !== undefined) return new Map([[this.onlyTarget, entries]]);
    const byTarget = new Map<number, MetricMetadata[]>();
    for (const entry of entries) {
      const target = this.#targetOfMetric(metricHashOf(entry.metric));
      getOrMake(byTarget, target, () => [] as MetricMetadata[]).push(entry);
    }
    return byTarget;
  }

  /** Each target gets its parts one after the other, and all of them something at a time, unless one by one. */
  async #pushAll(
    parts: Iterable<FramePart>,
    push: (part: FramePart) => Promise<void>,
    oneByOne: boolean,
  ): Promise<void> {
    const under: (Promise<void> | undefined)[] = this.#route.targets.map(() => undefined);
    let failure: { readonly reason: unknown } | undefined;
    for (const part of parts) {
      await under[part.target];
      if (failure !== undefined) break;
      under[part.target] = push(part).catch((reason: unknown) => {
        failure ??= { reason };
      });
      if (oneByOne) await under[part.target];
    }
    // all of them, also when one fails: what is not acknowledged will come again
    await Promise.all(under);
    if (failure !== undefined) throw failure.reason;
  }

  /** The frames, now with labels, of series that a target did not know by their keys: it has dropped them since, or refused them. */
  #unknownParts(outgoing: Outgoing, unknown: readonly ReadonlySet<string>[]): FramePart[] {
    const { buffers } = this.#route;
    const keys = new Set(unknown.flatMap((each) => [...each]));
    const wanted: Uint8Array[] = [];
    for (const { frames } of outgoing.labelled()) {
      for (const frame = new FrameView(frames); frame.next(); ) {
        const key = frame.flags === 0 ? outgoing.keyOf(frame.labels) : undefined;
        if (key !== undefined && keys.has(key)) wanted.push(frame.bytes.slice());
      }
      buffers.give(frames.buffer);
    }
    return [...frameParts(Buffer.concat(wanted), new Uint8Array(0), [], (frame) => this.targetOf(frame), buffers)];
  }
}
