import { AppError } from '../../model/errors.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { type ExpositionEntry, withStarts } from '../../wire/exposition/entry.ts';
import { parseOpenMetrics } from '../../wire/exposition/open-metrics.ts';

const PIECE_BYTES = 1 << 20;
/** A line that is longer is none of this format. */
const LINE_BYTES_MAX = 16 << 20;
/** The year 5138: a time of today in milliseconds is later. */
const SECONDS_MAX = 1e11;
const END = Buffer.from('# EOF\n');
const NEWLINE = 10;

/**
 * Entries of OpenMetrics text of any length, read piece by piece.
 * @throws writeErrors.expositionInvalid with the line of the whole text, also where its end is missing
 */
export async function* readOpenMetrics(input: AsyncIterable<Uint8Array>): AsyncGenerator<ExpositionEntry> {
  const parser = new PieceParser();
  let held: Buffer = Buffer.alloc(0);
  for await (const part of input) {
    held = held.length === 0 ? Buffer.from(part) : Buffer.concat([held, part]);
    if (held.length < PIECE_BYTES) continue;
    const end = held.lastIndexOf(NEWLINE) + 1;
    if (end === 0 && held.length > LINE_BYTES_MAX) parser.fail(`a line of more than ${LINE_BYTES_MAX} bytes`);
    yield* parser.parse(held.subarray(0, end));
    held = held.subarray(end);
  }
  yield* parser.parse(held.length === 0 || held.at(-1) === NEWLINE ? held : Buffer.concat([held, Buffer.from('\n')]));
  parser.end();
}

/** Why nobody would find a sample of this time again, Unix seconds. */
function timeFault(seconds: number): string | undefined {
  if (Math.abs(seconds) < SECONDS_MAX) return undefined;
  if (seconds > 0 && seconds / 1000 < SECONDS_MAX) {
    return `${seconds} can only be milliseconds, and OpenMetrics has seconds: ${seconds / 1000}`;
  }
  return `${seconds} is out of range, OpenMetrics has seconds since 1970`;
}

/** Parses whole lines, piece after piece. */
class PieceParser {
  #linesBefore = 0;
  /** The family's last TYPE line; it stands in front of the next piece. */
  #typeLine = '';
  #ended = false;

  *parse(piece: Buffer): Generator<ExpositionEntry> {
    if (piece.length === 0) return;
    if (this.#ended) this.fail('unexpected data after # EOF');
    const body = this.#beforeEnd(piece);
    const prefix = this.#typeLine;
    let skip = prefix === '' ? 0 : 1;
    try {
      for (const entry of withStarts(parseOpenMetrics(Buffer.concat([Buffer.from(prefix), body, END]), timeFault))) {
        if (skip > 0) {
          skip--;
          continue;
        }
        if (entry.kind === 'type') this.#typeLine = `# TYPE ${nameText(entry.metric)} ${entry.text}\n`;
        yield entry;
      }
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.facts.id !== 'exposition-invalid') throw thrown;
      const [, line, reason] = /^line (\d+): (.*)$/s.exec(thrown.message)!;
      this.fail(reason!, Number(line) - (prefix === '' ? 0 : 1));
    }
    this.#linesBefore += countLines(body);
  }

  end(): void {
    if (!this.#ended) this.fail('data does not end with # EOF');
  }

  fail(reason: string, line = 1): never {
    throw writeErrors.expositionInvalid({ line: this.#linesBefore + line, reason });
  }

  #beforeEnd(piece: Buffer): Buffer {
    const first = piece.subarray(0, END.length).equals(END);
    const at = first ? 0 : piece.indexOf('\n# EOF\n') + 1;
    if (at === 0 && !first) return piece;
    this.#ended = true;
    if (at + END.length < piece.length) {
      this.fail('unexpected data after # EOF', countLines(piece.subarray(0, at)) + 2);
    }
    return piece.subarray(0, at);
  }
}

function nameText(name: string): string {
  if (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) return name;
  return `"${name.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))}"`;
}

function countLines(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
