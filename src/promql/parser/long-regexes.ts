import { inTurns, type Turns } from '../../lib/turns.ts';
import { compileRegex, compiling, engineLengthMax, Regex, RegexSyntaxError } from '../../model/regex/regex.ts';

/** Longer patterns take long to compile: tens of milliseconds for a megabyte. */
const LONG_CHARS = engineLengthMax;

/** Stands in for what is not compiled yet. */
const NOT_YET = Regex.of('', { general: [] });

/** The long regular expressions of one text, compiled between two readings of it. */
export class LongRegexes {
  readonly #bySource = new Map<string, Regex | RegexSyntaxError | undefined>();

  get found(): boolean {
    return this.#bySource.size > 0;
  }

  /** For the parser. @throws RegexSyntaxError */
  readonly of = (source: string): Regex => {
    if (source.length <= LONG_CHARS) return compileRegex(source);
    const known = this.#bySource.get(source);
    if (known instanceof RegexSyntaxError) throw known;
    if (known === undefined) this.#bySource.set(source, undefined);
    return known ?? NOT_YET;
  };

  /** Compiles what the parser has asked for. */
  async compile(turns: Turns): Promise<void> {
    for (const source of this.#bySource.keys()) {
      await turns.pause();
      this.#bySource.set(source, await compiled(source, turns));
    }
    await turns.pause();
  }
}

async function compiled(source: string, turns: Turns): Promise<Regex | RegexSyntaxError> {
  try {
    return await inTurns(compiling(source), turns);
  } catch (thrown) {
    if (thrown instanceof RegexSyntaxError) return thrown;
    throw thrown;
  }
}
