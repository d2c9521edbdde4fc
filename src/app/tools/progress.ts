import type { Writable } from 'node:stream';

const LINE_EVERY_MS = 10_000;
const REDRAW_EVERY_MS = 200;

/** Says how far a tool is: one line that changes where people look on, a line now and then where it goes to a file. */
export class Progress {
  readonly #out: Writable & { readonly isTTY?: boolean };
  readonly #nowMs: () => number;
  #saidMs: number;
  #drawn = false;

  constructor(out: Writable & { readonly isTTY?: boolean }, nowMs: () => number) {
    this.#out = out;
    this.#nowMs = nowMs;
    this.#saidMs = nowMs();
  }

  /** Called as often as one likes. */
  at(describe: () => string): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#saidMs < (this.#out.isTTY ? REDRAW_EVERY_MS : LINE_EVERY_MS)) return;
    this.#saidMs = nowMs;
    this.#out.write(this.#out.isTTY ? `\r${describe()}\u001b[K` : `${describe()}\n`);
    this.#drawn = this.#out.isTTY === true;
  }

  /** A line that stays. */
  say(text: string): void {
    this.#out.write(`${this.#drawn ? '\r\u001b[K' : ''}${text}\n`);
    this.#drawn = false;
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `12.3 MiB` */
export function showBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`;
}
