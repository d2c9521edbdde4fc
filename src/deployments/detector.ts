import type { QueryRunner } from '../contract/query.ts';
import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import { Pacer } from '../lib/pacer.ts';
import { type NameLabels, type PodWorkloads, serviceKey } from '../model/service-id.ts';
import type { ServiceDeployment } from './deployment.ts';
import { EvidenceChoices, readEvidence, type ServiceEvidence } from './evidence.ts';
import { ServiceTrack } from './service-track.ts';

const MINUTE_MS = 60_000;
/** The thread is held up for so long at a time. */
const SLICE_MS = 5;
/** Minutes that are asked for at a time; a chunk of all services' instances is held. */
const CHUNK_MINUTES = 120;
/** A service that was not seen for so long is forgotten. */
const FORGET_AFTER_MS = 48 * 3_600_000;
/** Services of one tenant; more are not looked at. */
const SERVICES_MAX = 20_000;

export interface DetectorOptions {
  readonly tenant: string;
  readonly runner: QueryRunner;
  /** Pods as the data of some minutes tells of them, both inclusive, Unix ms; absent: their names say it. */
  readonly workloads?: (startMs: number, endMs: number, signal: AbortSignal) => Promise<PodWorkloads>;
  readonly nameLabels?: NameLabels;
  /** For turns of others in the thread; absent: it gives none. */
  readonly clock?: Pick<Clock, 'monotonicMs' | 'turn'>;
}

/** Finds the deployments of a tenant's services, from a minute on and then minute by minute. */
export class DeploymentDetector {
  readonly #options: DetectorOptions;
  readonly #tracks = new Map<string, ServiceTrack>();
  readonly #choices = new EvidenceChoices();
  #lookedMs: number | undefined;

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** The last minute that was looked at; undefined before the first. */
  get lookedMs(): number | undefined {
    return this.#lookedMs;
  }

  /** Services that are known. */
  get services(): number {
    return this.#tracks.size;
  }

  /** An event that was sent in: what the data shows near to it is the same deployment. */
  sent(event: ServiceDeployment): void {
    this.#track(event.service)?.sent(event);
  }

  /**
   * Looks at the minutes up to `endMs`, from the last that was looked at on, or from `startMs`. Answers what is new or has changed,
   * for each service in the order of time: of one id the last counts. Where it fails, the minutes of before are not looked at again.
   *
   * @throws AppError
   */
  async look(startMs: number, endMs: number, signal: AbortSignal): Promise<ServiceDeployment[]> {
    const found: ServiceDeployment[] = [];
    const lastMs = floorMinute(endMs);
    let fromMs = Math.max(ceilMinute(startMs), (this.#lookedMs ?? Number.NEGATIVE_INFINITY) + MINUTE_MS);
    for (; fromMs <= lastMs; fromMs += CHUNK_MINUTES * MINUTE_MS) {
      const toMs = Math.min(lastMs, fromMs + (CHUNK_MINUTES - 1) * MINUTE_MS);
      found.push(...(await this.#lookAt(fromMs, toMs, signal)));
      this.#lookedMs = toMs;
    }
    this.#forget();
    return found;
  }

  async #lookAt(startMs: number, endMs: number, signal: AbortSignal): Promise<ServiceDeployment[]> {
    const { tenant, runner, nameLabels, clock } = this.#options;
    const pacer = clock && new Pacer(clock, { sliceMs: SLICE_MS, signal });
    const workloads = await this.#options.workloads?.(startMs, endMs, signal);
    const options = { runner, choices: this.#choices, workloads, nameLabels, pacer };
    const { services } = await readEvidence(tenant, startMs, endMs, options, signal);
    const found: ServiceDeployment[] = [];
    const ofService = new Map<string, ServiceEvidence[]>();
    for (const part of services.values()) {
      getOrMake(ofService, serviceKey(part.service), (): ServiceEvidence[] => []).push(part);
    }
    for (const parts of ofService.values()) {
      if (pacer?.due) await pacer.pause();
      const track = this.#track(parts[0]!.service);
      if (track === undefined) continue;
      // of one minute the service as a whole has the word before its workloads
      parts.sort((a, b) => Number(a.workload !== undefined) - Number(b.workload !== undefined));
      for (let timeMs = startMs, i = 0; timeMs <= endMs; timeMs += MINUTE_MS, i++) {
        for (const { workload, minutes } of parts) {
          const minute = minutes[i];
          if (minute !== undefined) found.push(...track.push(timeMs, minute, workload));
        }
      }
    }
    return found;
  }

  #track(service: ServiceDeployment['service']): ServiceTrack | undefined {
    const key = serviceKey(service);
    if (this.#tracks.size >= SERVICES_MAX && !this.#tracks.has(key)) return undefined;
    return getOrMake(this.#tracks, key, () => new ServiceTrack(service));
  }

  #forget(): void {
    const lookedMs = this.#lookedMs ?? 0;
    for (const [key, { lastMs }] of this.#tracks) if (lookedMs - lastMs > FORGET_AFTER_MS) this.#tracks.delete(key);
    this.#choices.keep((key) => this.#tracks.has(key.split(' ')[0]!));
  }
}

function floorMinute(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
}

function ceilMinute(timeMs: number): number {
  return Math.ceil(timeMs / MINUTE_MS) * MINUTE_MS;
}
