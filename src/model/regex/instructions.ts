import { systemBytes } from '../../lib/random.ts';
import type { RegexProgram } from './program.ts';
import { grown, mixed } from './symbol-trie.ts';

/** Instructions of a program as they are made: last ones first, and equal ones once, so that alternatives which end alike share their end. */
export class Instructions {
  count = 0;
  #ops = new Int32Array(64);
  #outs = new Int32Array(64);
  #args = new Int32Array(64);
  /** The number of an instruction, counted from 1, where its hash says or at the next free place. */
  #slots = new Int32Array(256);
  readonly #seed = new Int32Array(systemBytes(4).buffer)[0]!;
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** One of its own, whose `out` may be set later. @throws ProgramFull */
  alone(op: number, out: number, arg: number): number {
    if (this.count >= this.#countMax) throw new ProgramFull();
    if (this.count === this.#ops.length) {
      const size = 2 * this.count;
      this.#ops = grown(this.#ops, size);
      this.#outs = grown(this.#outs, size);
      this.#args = grown(this.#args, size);
    }
    const pc = this.count++;
    this.#ops[pc] = op;
    this.#outs[pc] = out;
    this.#args[pc] = arg;
    return pc;
  }

  /** The instruction that does this, made where there is none. @throws ProgramFull */
  shared(op: number, out: number, arg: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hash(op, out, arg) & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const pc = this.#slots[slot]! - 1;
      if (this.#ops[pc] === op && this.#outs[pc] === out && this.#args[pc] === arg) return pc;
    }
    const pc = this.alone(op, out, arg);
    this.#slots[slot] = pc + 1;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return pc;
  }

  setOut(pc: number, out: number): void {
    this.#outs[pc] = out;
  }

  columns(): Pick<RegexProgram, 'ops' | 'outs' | 'args'> {
    return {
      ops: Uint8Array.from(this.#ops.subarray(0, this.count)),
      outs: this.#outs.slice(0, this.count),
      args: this.#args.slice(0, this.count),
    };
  }

  #rehash(): void {
    const before = this.#slots;
    const slots = new Int32Array(2 * before.length);
    const mask = slots.length - 1;
    for (const number of before) {
      if (number === 0) continue;
      const pc = number - 1;
      let slot = this.#hash(this.#ops[pc]!, this.#outs[pc]!, this.#args[pc]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = number;
    }
    this.#slots = slots;
  }

  #hash(op: number, out: number, arg: number): number {
    return mixed(Math.imul(out ^ this.#seed, 0x9e3779b1) ^ Math.imul(arg, 0x85ebca6b) ^ op);
  }
}

/** The pattern has more instructions than there may be. */
export class ProgramFull extends Error {}
