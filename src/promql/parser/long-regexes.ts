import { inTurns, type Turns } from '../../lib/turns.ts';
import {
  compileRegex,
  compiling,
  engineLengthMax,
  expandedSize,
  keptLengthMax,
  Regex,
  RegexSyntaxError,
} from '../../model/regex/regex.ts';

/** Longer patterns take long to compile: tens of milliseconds for a megabyte. */
const LONG_CHARS = engineLengthMax;

/** Shorter ones of more instructions than this take milliseconds, too: `(\\p{L}{1,10}){1,100}` some 100 ms. */
const LARGE_SIZE = 500;

/** Stands in for what is not compiled yet. */
const NOT_YET = Regex.of('', { general: [] });

/** The regular expressions of one text that take long, compiled between two readings of it. */
export class LongRegexes {
  readonly #bySource = new Map<string, Regex | RegexSyntaxError | undefined>();

  get found(): boolean {
    return this.#bySource.size > 0;
  }

  /** For the parser. @throws RegexSyntaxError */
  readonly of = (source: string): Regex => {
    if (source.length <= LONG_CHARS && expandedSize(source) <= LARGE_SIZE) return compileRegex(source);
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
    // one that may be kept is compiled in one go, which its program's size bounds
    if (source.length <= keptLengthMax) return compileRegex(source);
    return await inTurns(compiling(source), turns);
  } catch (thrown) {
    if (thrown instanceof RegexSyntaxError) return thrown;
    throw thrown;
  }
}
