import type { MessageReader } from './message-reader.ts';
import type { WriteParts } from './write-request.ts';

/** Messages of one kind within another one, read when they are asked for. Only until the reader's body is gone. */
export class MessageParts<T> implements WriteParts<T> {
  readonly #reader: MessageReader;
  readonly #read: (reader: MessageReader, end: number) => T;
  /** Start and end of each. */
  readonly #bounds: number[] = [];

  constructor(reader: MessageReader, read: (reader: MessageReader, end: number) => T) {
    this.#reader = reader;
    this.#read = read;
  }

  get length(): number {
    return this.#bounds.length / 2;
  }

  /** Passes over a message that begins where the reader stands. */
  pass(end: number): void {
    this.#bounds.push(this.#reader.position, end);
    this.#reader.moveTo(end);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    const reader = this.#reader;
    const back = reader.position;
    for (let i = 0; i < this.#bounds.length; i += 2) {
      reader.moveTo(this.#bounds[i]!);
      yield reader.named(() => this.#read(reader, this.#bounds[i + 1]!));
    }
    reader.moveTo(back);
  }
}

/** `parts` with one more message, which is passed over and ends there. */
export function passed<T>(
  parts: WriteParts<T>,
  reader: MessageReader,
  read: (reader: MessageReader, end: number) => T,
  end: number,
): MessageParts<T> {
  const all = parts instanceof MessageParts ? (parts as MessageParts<T>) : new MessageParts<T>(reader, read);
  all.pass(end);
  return all;
}
