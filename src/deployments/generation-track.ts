import type { FoundDeployment } from './version-track.ts';

/** Finds changes of a Deployment's definition by its generation, but for those of the number of its replicas. */
export class GenerationTrack {
  #generation = Number.NaN;
  #replicas = Number.NaN;
  #lastMs = Number.NEGATIVE_INFINITY;

  push(minuteMs: number, generation: number, replicas: number): FoundDeployment | undefined {
    if (minuteMs <= this.#lastMs) return undefined;
    const rose = generation > this.#generation && replicas === this.#replicas;
    const from = this.#generation;
    this.#generation = generation;
    this.#replicas = replicas;
    this.#lastMs = minuteMs;
    if (!rose) return undefined;
    const [before, after] = [from, generation].map((number) => `generation ${number}`);
    return { kind: 'deployment', from: before!, to: after!, beginMs: minuteMs, endMs: minuteMs };
  }
}
