import type { Channel } from '../../kit/thread/channel.ts';
import type { EndedInFront, FrontHostRole } from './front-role.ts';

/** Texts after which the main thread is told at once: those of one tenant leave none of another's out. */
const TEXTS_MAX = 1_000;

/** Queries that this thread has evaluated, those of one text added up, until the main thread is told. */
export class EndedQueries {
  readonly #main: Promise<Channel<FrontHostRole>>;
  #ended = new Map<string, EndedInFront>();
  #sending: Promise<void> = Promise.resolve();

  constructor(main: Promise<Channel<FrontHostRole>>) {
    this.#main = main;
  }

  add(one: EndedInFront): void {
    const { tenant, query } = one.ended;
    const key = JSON.stringify([tenant, query, one.asker.user, one.asker.source]);
    const before = this.#ended.get(key);
    if (before === undefined) {
      this.#ended.set(key, one);
      if (this.#ended.size >= TEXTS_MAX) void this.send();
      return;
    }
    const { count, durationMs } = before.ended;
    const ended = { ...one.ended, count: count + 1, durationMs: durationMs + one.ended.durationMs };
    this.#ended.set(key, { ...one, ended });
  }

  send(): Promise<void> {
    if (this.#ended.size === 0) return this.#sending;
    const queries = [...this.#ended.values()];
    this.#ended = new Map();
    this.#sending = this.#main.then((main) => main.call('queriesEnded', { queries })).catch(() => {});
    return this.#sending;
  }
}
