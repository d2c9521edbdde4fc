import type { Readable, Writable } from 'node:stream';
import type { OpenedStore } from '../../chunkstore/open.ts';
import type { Section } from '../../kit/config/section.ts';
import type { Clock } from '../../lib/clock.ts';
import type { QuerierConfig } from '../../querier/config.ts';
import type { Progress } from './progress.ts';

/** Exit codes of tools. */
export const DONE = 0;
export const FAILED = 1;
export const MISUSED = 2;
/** The tool ran to its end and found damage. */
export const DAMAGED = 3;

/** The surroundings that a tool works with. */
export interface ToolContext<Options> {
  readonly options: Options;
  /** Arguments beside the flags. */
  readonly words: readonly string[];
  /** Opens the stores that the configuration names; they are closed when the tool ends. Without `make` the data folder must be there. */
  openStore(options?: { readonly make?: boolean }): Promise<OpenedStore>;
  /** The length of windows, as the server writes them. */
  readonly windowMs: number;
  /** How the server evaluates expressions. */
  readonly querier: QuerierConfig;
  readonly clock: Clock;
  readonly input: Readable;
  /** For what was asked for; everything else goes to `progress`. */
  readonly output: Writable;
  /** For what is wrong with the input. */
  readonly errors: Writable;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A command beside the server: `pallium verify`. */
export interface Tool<S extends Section = Section> {
  /** One line. */
  readonly summary: string;
  /** Further text for `--help`. */
  readonly description: string;
  readonly options: S;
  /** Arguments that may stand beside the flags, as the usage shows them; absent: none may. */
  readonly words?: string;
  /** @returns the exit code @throws where it cannot go on; `UsageError` where the options do not fit together */
  run(context: ToolContext<S['type']>): Promise<number>;
}

export function tool<const S extends Section>(one: Tool<S>): Tool<S> {
  return one;
}

/** Options that do not fit together. */
export class UsageError extends Error {}
