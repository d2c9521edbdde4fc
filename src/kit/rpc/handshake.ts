import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { peerErrors } from '../../model/errors-peer.ts';
import { decodeValue } from './codec.ts';

// First words on a connection (docs/formats/rpc.md): versions and nonces, then proofs that both have the shared key. The key itself
// never goes over the wire, and who has not proved it yet gets a nonce and nothing else.

/** Versions of the protocol that this program speaks. A field of a head may come or go without a new one. */
export const PROTOCOL_MIN = 1;
export const PROTOCOL_MAX = 1;

const MAGIC = 'pallium-rpc';
const NONCE_BYTES = 32;
const NAME_CHARS_MAX = 256;

/** Settings that all processes of a cluster must have alike, by name. Names that only one side knows are not compared. */
export type ClusterSettings = Readonly<Record<string, string | number | boolean>>;

/** Who a process says it is. */
export interface PeerSelf {
  /** Unique among processes: flow and turns go by it. */
  readonly name: string;
  readonly cluster: ClusterSettings;
}

/** First words of either side. */
export interface Hello {
  readonly magic: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly nonce: Uint8Array;
  /** Whether it wants the shared key proved, and proves it. */
  readonly keyed: boolean;
}

/** The room that a process gives one connection. */
export interface Room {
  /** Calls that are not answered yet. */
  readonly callsMax: number;
  /** Bytes of their bodies. */
  readonly bytesMax: number;
}

export function makeHello(nonce: Uint8Array, keyed: boolean): Hello {
  return { magic: MAGIC, protocolMin: PROTOCOL_MIN, protocolMax: PROTOCOL_MAX, nonce, keyed };
}

/** @throws peerMessageInvalid, peerRefused where there is no version that both speak */
export function readHello(head: Uint8Array): Hello {
  const { magic, protocolMin, protocolMax, nonce, keyed } = decodeValue(head) as Partial<Hello> & object;
  if (magic !== MAGIC) throw peerErrors.peerMessageInvalid({ reason: 'the other side is no peer listener' });
  if (!(nonce instanceof Uint8Array) || nonce.length !== NONCE_BYTES || typeof keyed !== 'boolean') {
    throw peerErrors.peerMessageInvalid({ reason: 'first words without a nonce' });
  }
  const [min, max] = [Number(protocolMin), Number(protocolMax)];
  if (!(min <= PROTOCOL_MAX && max >= PROTOCOL_MIN)) {
    throw peerErrors.peerRefused({
      reason: `versions ${min} to ${max} of the protocol between members are spoken there, ${PROTOCOL_MIN} to ${PROTOCOL_MAX} here`,
    });
  }
  return { magic, protocolMin: min, protocolMax: max, nonce, keyed };
}

/** All that both sides have heard: proofs are of it, so that nobody in between can change it. */
export function transcriptOf(callerHello: Uint8Array, ownHello: Uint8Array): Uint8Array {
  return createHash('sha256').update(lengthOf(callerHello)).update(callerHello).update(ownHello).digest();
}

/** Proof that one side has the key. @param side a proof of one side is none of the other's */
export function proofOf(
  key: Uint8Array,
  side: 'caller' | 'listener',
  transcript: Uint8Array,
  said: Uint8Array,
): Uint8Array {
  return createHmac('sha256', key).update(`pallium ${side}\0`).update(transcript).update(said).digest();
}

export function isProof(proof: unknown, expected: Uint8Array): boolean {
  return proof instanceof Uint8Array && proof.length === expected.length && timingSafeEqual(proof, expected);
}

/** Second words of either side. */
export interface Introduction {
  /** A `PeerSelf`, and of a listener its `Room`. */
  readonly said: Uint8Array;
  /** Absent without a key. */
  readonly proof?: Uint8Array;
}

export function introduction(
  key: Uint8Array | undefined,
  side: 'caller' | 'listener',
  transcript: Uint8Array,
  said: Uint8Array,
): Introduction {
  return { said, ...(key && { proof: proofOf(key, side, transcript, said) }) };
}

/**
 * @returns with the key that it was proved by, which is what it is answered with
 * @throws peerRefused where the proof is missing or wrong
 */
export function readIntroduction(
  head: Uint8Array,
  keys: readonly Uint8Array[] | undefined,
  side: 'caller' | 'listener',
  transcript: Uint8Array,
): PeerSelf & Partial<Room> & { readonly key: Uint8Array | undefined } {
  const { said, proof } = decodeValue(head) as Partial<Introduction> & object;
  if (!(said instanceof Uint8Array)) throw peerErrors.peerMessageInvalid({ reason: 'second words that say nothing' });
  const key = keys?.find((each) => isProof(proof, proofOf(each, side, transcript, said)));
  if (keys !== undefined && key === undefined) {
    throw peerErrors.peerRefused({ reason: 'it does not have the shared key of the cluster (-server.peer-key-file)' });
  }
  const { name, cluster, ...rest } = decodeValue(said) as Partial<PeerSelf> & object;
  if (typeof name !== 'string' || name.length > NAME_CHARS_MAX || typeof cluster !== 'object' || cluster === null) {
    throw peerErrors.peerMessageInvalid({ reason: 'second words without a name and settings' });
  }
  return { name, cluster, ...rest, key };
}

/** Settings that differ, as text; undefined: none do. */
export function differenceOf(own: ClusterSettings, other: ClusterSettings): string | undefined {
  const differing = Object.keys(own).filter((name) => other[name] !== undefined && other[name] !== own[name]);
  if (differing.length === 0) return undefined;
  return differing.map((name) => `${name} is ${own[name]} here and ${other[name]} there`).join(', ');
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return length;
}

export { NONCE_BYTES };
