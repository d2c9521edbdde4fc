/** A member that was asked for recent samples. */
export interface AskedMember {
  /** Its name on the page of the ring, or THIS_PROCESS. */
  readonly id: string;
  /** All that it had came, and counted. Others failed, were late, or were not waited for. */
  readonly answered: boolean;
}

/** The name of a process that asks itself. */
export const THIS_PROCESS = 'this process';

/** Members that are named; of more there is the number. */
const NAMED_MAX = 32;

/** The members that a query asked for recent samples, as its explanation tells them. */
export class AskedMembers {
  readonly #reads = new Map<string, { asked: number; answered: number }>();

  /** @param members of one read, each once */
  add(members: readonly AskedMember[]): void {
    for (const { id, answered } of members) {
      const reads = this.#reads.get(id) ?? { asked: 0, answered: 0 };
      reads.asked++;
      if (answered) reads.answered++;
      this.#reads.set(id, reads);
    }
  }

  /** Undefined: nobody was asked. */
  get text(): string | undefined {
    if (this.#reads.size === 0) return undefined;
    const all = [...this.#reads].map(([id, { asked, answered }]) => ({
      id,
      asked,
      answered,
      isWhole: answered === asked,
    }));
    // those that failed a read come first, so that they are never among those that are only counted
    all.sort((a, b) => Number(a.isWhole) - Number(b.isWhole) || (a.id < b.id ? -1 : 1));
    const names = all
      .slice(0, NAMED_MAX)
      .map(({ id, asked, answered, isWhole }) => (isWhole ? id : `${id} (${answered} of ${asked} reads)`));
    if (all.length > NAMED_MAX) names.push(`${all.length - NAMED_MAX} more`);
    const answered = all.filter((each) => each.answered > 0).length;
    return `${all.length === 1 ? '1 member' : `${all.length} members`}, ${answered} answered: ${names.join(', ')}`;
  }
}
