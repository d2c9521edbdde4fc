import { getOrMake } from '../lib/map.ts';
import { type ServiceId, serviceKey, type Workload } from '../model/service-id.ts';
import { deploymentId, type EvidenceKind, type ServiceDeployment } from './deployment.ts';
import { GenerationTrack } from './generation-track.ts';
import { RestartTrack, type StartCounts } from './restart-track.ts';
import { type FoundDeployment, type VersionCounts, VersionTrack } from './version-track.ts';

const VERSION_EVIDENCE = ['target-info', 'build-info', 'image', 'replica-set'] as const;
export type VersionEvidence = (typeof VERSION_EVIDENCE)[number];

/** All that is known of a service at one minute; evidence that it has not is absent. */
export interface ServiceMinute {
  readonly versions: Partial<Readonly<Record<VersionEvidence, VersionCounts>>>;
  readonly starts?: StartCounts;
  readonly generation?: { readonly generation: number; readonly replicas: number };
}

const MINUTE_MS = 60_000;
/** Evidence counts where it was there for this long before a roll-out, and seen within the hour. */
const COVERS_BEFORE_MS = 5 * MINUTE_MS;
const COVERS_SINCE_MS = 60 * MINUTE_MS;
/** Two pieces of evidence this near to each other tell of one roll-out. */
const NEAR_MS = 5 * MINUTE_MS;
/** An event that was sent in stands for the roll-out that it lies this near to. */
const SENT_NEAR_MS = 15 * MINUTE_MS;
/** A restart waits for so long: it may turn out to be a roll-out. */
const RESTART_WAITS_MS = 15 * MINUTE_MS;
/** Deployments that are compared with what is found next. */
const TOLD_MAX = 32;
/** Workloads of one service that are looked at; those that were not seen for longest make room. */
const WORKLOADS_MAX = 100;

/** Evidence of a service as a whole, or of one of its workloads. */
interface Part {
  readonly workload: Workload | undefined;
  readonly tracks: Map<VersionEvidence, VersionTrack>;
  readonly generations: GenerationTrack;
  lastMs: number;
}

/** Finds the deployments of one service: each by the first evidence that there is at its time, and none twice. */
export class ServiceTrack {
  readonly service: ServiceId;
  readonly #parts = new Map<string, Part>();
  readonly #restarts = new RestartTrack();
  #told: ServiceDeployment[] = [];
  #waiting: FoundDeployment[] = [];
  #sentMs = Number.NEGATIVE_INFINITY;

  constructor(service: ServiceId) {
    this.service = service;
  }

  /** The last minute that was taken, or the time of an event that was sent in. */
  get lastMs(): number {
    let lastMs = this.#sentMs;
    for (const part of this.#parts.values()) lastMs = Math.max(lastMs, part.lastMs);
    return lastMs;
  }

  /** An event that was sent in: what is found near to it is the same deployment. */
  sent(event: ServiceDeployment): void {
    this.#sentMs = Math.max(this.#sentMs, event.beginMs);
    this.#remember(event);
  }

  /**
   * Takes the next minute, and answers the deployments that are new or have changed.
   *
   * @param workload one of several of the service, whose minute it is; absent: that of the service as a whole
   */
  push(minuteMs: number, { versions, starts, generation }: ServiceMinute, workload?: Workload): ServiceDeployment[] {
    const part = this.#part(workload);
    if (minuteMs <= part.lastMs) return [];
    part.lastMs = minuteMs;
    const found: ServiceDeployment[] = [];
    const take = (evidence: EvidenceKind, deployment: FoundDeployment) => {
      const taken = this.#take(part, evidence, deployment, minuteMs);
      if (taken !== undefined) found.push(taken);
    };
    for (const evidence of VERSION_EVIDENCE) {
      const counts = versions[evidence];
      if (counts === undefined) continue;
      for (const deployment of trackOf(part, evidence).push(minuteMs, counts)) take(evidence, deployment);
    }
    if (generation !== undefined) {
      const deployment = part.generations.push(minuteMs, generation.generation, generation.replicas);
      if (deployment !== undefined) take('generation', deployment);
    }
    const restart = starts === undefined ? undefined : this.#restarts.push(minuteMs, starts);
    if (restart !== undefined) this.#waiting.push(restart);
    if (workload !== undefined) return found;
    for (const waiting of this.#waiting) if (isDue(waiting, minuteMs)) take('start-times', waiting);
    this.#waiting = this.#waiting.filter((waiting) => !isDue(waiting, minuteMs));
    return found;
  }

  #part(workload: Workload | undefined): Part {
    const key = workload === undefined ? '' : serviceKey(workload);
    if (workload !== undefined && !this.#parts.has(key) && this.#parts.size > WORKLOADS_MAX) {
      const parts = [...this.#parts].filter(([, part]) => part.workload !== undefined);
      this.#parts.delete(parts.reduce((oldest, one) => (one[1].lastMs < oldest[1].lastMs ? one : oldest))[0]);
    }
    return getOrMake(this.#parts, key, () => ({
      workload,
      tracks: new Map(),
      generations: new GenerationTrack(),
      lastMs: Number.NEGATIVE_INFINITY,
    }));
  }

  #take(part: Part, evidence: EvidenceKind, found: FoundDeployment, minuteMs: number): ServiceDeployment | undefined {
    const { service } = this;
    const { workload } = part;
    const id = deploymentId(service, found, workload);
    const deployment = { ...found, evidence, service, id, ...(workload === undefined ? {} : { workload }) };
    const isKnown = this.#told.some(({ id, evidence: own }) => id === deployment.id && own === evidence);
    if (!isKnown && (isCovered(part, evidence, found.beginMs) || this.#isTold(deployment, minuteMs))) return undefined;
    this.#remember(deployment);
    return deployment;
  }

  /** Other evidence has told of the same roll-out: of the same workload, or of the service as a whole. */
  #isTold(found: ServiceDeployment, minuteMs: number): boolean {
    return this.#told.some(({ evidence, kind, beginMs, endMs, workload }) => {
      if (workload !== undefined && found.workload !== undefined && serviceKey(workload) !== serviceKey(found.workload))
        return false;
      if (evidence === found.evidence || kind === 'restart' || (found.kind === 'restart' && kind === 'canary'))
        return false;
      const nearMs = evidence === 'sent' ? SENT_NEAR_MS : NEAR_MS;
      const afterMs = found.kind === 'restart' ? RESTART_WAITS_MS : nearMs;
      return found.beginMs >= beginMs - nearMs && found.beginMs <= (endMs ?? minuteMs) + afterMs;
    });
  }

  #remember(deployment: ServiceDeployment): void {
    this.#told = this.#told.filter(({ id }) => id !== deployment.id);
    this.#told.push(deployment);
    if (this.#told.length > TOLD_MAX) this.#told.shift();
  }
}

function trackOf({ tracks }: Part, evidence: VersionEvidence): VersionTrack {
  return getOrMake(tracks, evidence, () => new VersionTrack());
}

/** Better evidence was there before and goes on: it has the word. */
function isCovered({ tracks }: Part, evidence: EvidenceKind, beginMs: number): boolean {
  if (evidence === 'start-times') return false;
  for (const better of VERSION_EVIDENCE) {
    if (better === evidence) return false;
    const track = tracks.get(better);
    if (track?.firstMs === undefined) continue;
    if (track.firstMs <= beginMs - COVERS_BEFORE_MS && track.lastMs >= beginMs - COVERS_SINCE_MS) return true;
  }
  return false;
}

function isDue({ beginMs }: FoundDeployment, minuteMs: number): boolean {
  return minuteMs >= beginMs + RESTART_WAITS_MS;
}
