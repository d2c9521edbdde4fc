const SEQUENCE = 0;
const READABLE = 1;
/** Where the counters begin: on another cache line than what readers ask each time. */
const COUNTERS_AT = 16;
const COUNTERS = 16_384;
/** Stands for no metric in particular. */
const ANY_METRIC = 0xffffffff;

/**
 * Changes of a head, in memory that readers in other threads share: whether one is being made, and for each metric of a tenant whether
 * series came or went. The head's thread is the only one that writes it.
 */
export class HeadChanges {
  readonly buffer: SharedArrayBuffer;
  /** The sequence, odd while the head is changed · 1 while it may be read · zeros · counters. */
  readonly #words: Int32Array;
  #depth = 0;

  /** @param buffer one that was made by another; absent: a new one */
  constructor(buffer = new SharedArrayBuffer(4 * (COUNTERS_AT + COUNTERS))) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  // ---- the head's side

  /** Does what changes the head. Readers see all of it or nothing. */
  during<T>(change: () => T): T {
    if (this.#depth++ === 0) this.#turn();
    try {
      return change();
    } finally {
      if (--this.#depth === 0) this.#turn();
    }
  }

  #turn(): void {
    Atomics.add(this.#words, SEQUENCE, 1);
    // a load behind it keeps the writes that follow behind both, on every machine
    Atomics.load(this.#words, SEQUENCE);
  }

  /** Says whether the head may be read past its thread. */
  setReadable(isReadable: boolean): void {
    Atomics.store(this.#words, READABLE, isReadable ? 1 : 0);
  }

  /** Notes that a series of the metric came or went, or is not to be read past the head's thread any more. */
  noteSeries(tenant: number, metric: number): void {
    Atomics.add(this.#words, counterOf(tenant, metric), 1);
    this.noteTenant(tenant);
  }

  /** Notes that the tenant is not what it was. */
  noteTenant(tenant: number): void {
    Atomics.add(this.#words, counterOf(tenant, ANY_METRIC), 1);
  }

  // ---- both

  /** The counter of a metric (the id of its pair), or of all of a tenant's; other metrics may have the same. */
  counterOf(tenant: number, metric: number | undefined): number {
    return counterOf(tenant, metric ?? ANY_METRIC);
  }

  value(counter: number): number {
    return Atomics.load(this.#words, counter);
  }

  // ---- the readers' side

  /** The sequence, before anything is read; undefined: the head is being changed, or may not be read. */
  begin(): number | undefined {
    const sequence = Atomics.load(this.#words, SEQUENCE);
    return (sequence & 1) === 0 && Atomics.load(this.#words, READABLE) === 1 ? sequence : undefined;
  }

  /** Whether nothing was changed since `begin`. */
  isUnchanged(sequence: number): boolean {
    // an exchange keeps the reads that came before it before it, on every machine
    return Atomics.compareExchange(this.#words, SEQUENCE, sequence, sequence) === sequence;
  }

  /** Waits for the end of a change, if one is being made. */
  wait(timeoutMs: number): void {
    const sequence = Atomics.load(this.#words, SEQUENCE);
    if ((sequence & 1) === 1) Atomics.wait(this.#words, SEQUENCE, sequence, timeoutMs);
  }
}

function counterOf(tenant: number, metric: number): number {
  const mixed = Math.imul(Math.imul(tenant + 1, 0x9e3779b1) ^ metric, 0x85ebca6b);
  return COUNTERS_AT + ((mixed ^ (mixed >>> 15)) & (COUNTERS - 1));
}
