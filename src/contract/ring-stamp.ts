/** The name of the ring's version that a request between members was made under. */
export interface RingStamp {
  readonly number: number;
  /** SHA-256 of the version, as hexadecimal digits. */
  readonly hash: string;
}
