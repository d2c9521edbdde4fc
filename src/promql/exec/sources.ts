import type { SampleColumns } from '../../storage/columns.ts';
import type { SeriesSet } from '../../storage/queryable.ts';
import type { Select } from '../plan/node.ts';
import type { Execution } from './execution.ts';

/** The series of every selector: those that ask for the same are asked once. */
export class Sources {
  readonly #execution: Execution;
  readonly #sets = new Map<Select, Promise<SeriesSet>>();

  constructor(execution: Execution) {
    this.#execution = execution;
  }

  /** The same set for the same `Select` object; closed with `close`. */
  select(select: Select): Promise<SeriesSet> {
    let set = this.#sets.get(select);
    if (set === undefined) {
      set = this.#fetch(select);
      this.#sets.set(select, set);
    }
    return set;
  }

  /** Begins to fetch what `select` will be asked for. */
  prefetch(select: Select): void {
    // whoever selects it hears of a failure, and `close` waits for it
    this.select(select).catch(() => {});
  }

  async #fetch(select: Select): Promise<SeriesSet> {
    const { queryable, context, annotations } = this.#execution;
    const set = await queryable.select(select, context);
    annotations.fromStorage(set.warnings);
    return set;
  }

  async close(): Promise<void> {
    for (const set of this.#sets.values()) {
      await set.then(
        (opened) => opened.close(),
        () => {},
      );
    }
    this.#sets.clear();
  }
}

/** Something that has samples for each of its series: a selector's, or a subquery's steps. */
export interface SampleSource {
  read(index: number, out: SampleColumns): void;
}
