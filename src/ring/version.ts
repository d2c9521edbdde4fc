import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';
import { SLOT_COUNTS, type SlotSizes } from '../model/slot-sizes.ts';

/** A member has arcs while it is active; one that drains has none, serves what it holds, and leaves. */
export type MemberState = 'active' | 'draining';

export interface Member {
  /** A name and a nonce made with the data folder: another folder is another member. */
  readonly id: string;
  /** Empty where there are no zones. */
  readonly zone: string;
  /** Host and port for the other processes. */
  readonly address: string;
  readonly state: MemberState;
}

/** An owner that an operator gave up (`force`). */
export interface GivenUp {
  readonly id: string;
  /** Wall clock of whoever gave it up, Unix ms: it took samples until then at the latest. */
  readonly atMs: number;
}

/**
 * One version of the ring: who is a member, who owns which arc, how tenants are spread over slots. Never changed once made;
 * its name is the hash of its bytes (docs/formats/ring.md).
 */
export interface RingVersion {
  /** 16 bytes that a cluster is given when it begins. */
  readonly cluster: string;
  /** From 1 on, one more than that of the version it was made from. */
  readonly number: number;
  /** Hash of the version it was made from; undefined for version 1. */
  readonly parent: string | undefined;
  /** The oldest version whose owners readers still have to ask. */
  readonly floor: number;
  /** RF. */
  readonly replicas: number;
  /** A power of two. */
  readonly arcs: number;
  /** Ascending by the bytes of their ids. */
  readonly members: readonly Member[];
  /** (arc, replica) row-major: indexes into `members`, `NO_OWNER` behind the owners of an arc that has fewer. */
  readonly owners: Uint16Array;
  /** Owners whose arcs an operator gave to others with this version, and vouched that they do not run; ascending. */
  readonly givenUp: readonly string[];
  /** Wall clock of whoever made the version when owners were given up, Unix ms: answers that reach beyond it say what may be missing. 0: none were. */
  readonly givenUpMs: number;
  /** Sizes of tenants that have more than one slot. */
  readonly tenants: ReadonlyMap<string, SlotSizes>;
  /**
   * Owners given up with versions below the floor, that took samples with them of which nobody else said that the store has them; told for
   * a while, ascending by id. Absent: there are none.
   */
  readonly lost?: readonly GivenUp[];
  /**
   * Fields that later builds add, by name, ascending: who does not know them passes them on from version to version. Absent: there are
   * none.
   */
  readonly later?: ReadonlyMap<string, Uint8Array>;
}

export const NO_OWNER = 0xffff;
export const ARCS_MAX = 16_384;
const ARCS_MIN = 16;
export const REPLICAS_MAX = 7;
export const MEMBERS_MAX = 4096;
const BYTES_MAX = 16 << 20;
/** Owners lost with versions below the floor: of more, those given up last are told. */
export const LOST_MAX = 100;
/** Fields of later builds, and the longest of them. */
export const LATER_MAX = 64;
const LATER_BYTES_MAX = 64 * 1024;
const TEXT_BYTES_MAX = 256;
const METRIC_BYTES_MAX = 65_536;

const FORMAT = 1;
const CLUSTER_BYTES = 16;
const HASH_BYTES = 32;
const STATES: readonly MemberState[] = ['active', 'draining'];

/** The canonical bytes: equal versions have equal ones. */
export function encodeVersion(version: RingVersion): Uint8Array<ArrayBuffer> {
  const content = new ByteWriter();
  content.bytes(Buffer.from(version.cluster, 'hex'));
  content.uvarint(version.number);
  content.bytes(version.parent === undefined ? new Uint8Array(HASH_BYTES) : Buffer.from(version.parent, 'hex'));
  content.uvarint(version.floor);
  content.u8(version.replicas);
  content.u8(Math.log2(version.arcs));
  content.uvarint(version.members.length);
  for (const { id, zone, address, state } of version.members) {
    putText(content, id);
    putText(content, zone);
    putText(content, address);
    content.u8(STATES.indexOf(state));
  }
  const wide = isWide(version.members.length);
  for (const owner of version.owners) {
    content.u8(owner & 0xff);
    if (wide) content.u8(owner >> 8);
  }
  content.uvarint(version.givenUp.length);
  for (const id of version.givenUp) putText(content, id);
  content.uvarint(version.givenUpMs);
  content.uvarint(version.tenants.size);
  for (const [tenant, { buckets, splits }] of inOrder(version.tenants)) {
    putText(content, tenant);
    content.u8(SLOT_COUNTS.indexOf(buckets));
    content.uvarint(splits.size);
    for (const [metric, parts] of inOrder(splits)) {
      putText(content, metric);
      content.u8(SLOT_COUNTS.indexOf(parts));
    }
  }
  // nothing where there are none: such versions are what they were before these were told
  if (version.lost !== undefined || version.later !== undefined) {
    content.uvarint(version.lost?.length ?? 0);
    for (const { id, atMs } of version.lost ?? []) {
      putText(content, id);
      content.uvarint(atMs);
    }
  }
  for (const [name, value] of inOrder(version.later ?? new Map<string, Uint8Array>())) {
    putText(content, name);
    content.uvarint(value.length);
    content.bytes(value);
  }
  const out = new Uint8Array(5 + content.length);
  out[0] = FORMAT;
  new DataView(out.buffer).setUint32(1, zlib.crc32(content.done()), true);
  out.set(content.done(), 5);
  return out;
}

/** A version's name. */
export function hashOfVersion(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @throws BytesError where the bytes are no version, or not those that the version is written as */
export function decodeVersion(bytes: Uint8Array): RingVersion {
  if (bytes.length > BYTES_MAX) throw new BytesError(`${bytes.length} bytes, at most ${BYTES_MAX} are read`);
  const frame = new ByteReader(bytes);
  const format = frame.u8();
  if (format !== FORMAT) throw new BytesError(`format ${format}, known is ${FORMAT}`);
  const crc = frame.u32();
  const from = new ByteReader(frame.take(frame.left));
  if (zlib.crc32(from.bytes) !== crc) throw new BytesError('the checksum differs');

  const cluster = Buffer.from(from.take(CLUSTER_BYTES)).toString('hex');
  const number = from.uvarint();
  const parent = Buffer.from(from.take(HASH_BYTES)).toString('hex');
  const floor = from.uvarint();
  const first = /^0+$/.test(parent);
  if (number === 0 || first !== (number === 1)) throw new BytesError(`version ${number} of parent ${parent}`);
  if (floor === 0 || floor > number) throw new BytesError(`floor ${floor} of version ${number}`);
  const replicas = from.u8();
  if (replicas === 0 || replicas > REPLICAS_MAX) throw new BytesError(`${replicas} owners an arc`);
  const arcs = 2 ** from.u8();
  if (arcs < ARCS_MIN || arcs > ARCS_MAX) throw new BytesError(`${arcs} arcs`);
  const members = takeMembers(from);
  const owners = takeOwners(from, arcs, replicas, members);
  const givenUp: string[] = [];
  for (let left = from.count(1); left > 0; left--) givenUp.push(takeText(from, TEXT_BYTES_MAX));
  const givenUpMs = from.uvarint();
  if (givenUpMs > 0 !== givenUp.length > 0) throw new BytesError(`${givenUp.length} owners given up at ${givenUpMs}`);
  const tenants = takeTenants(from);
  const lost = from.left === 0 ? undefined : takeLost(from);
  const later = from.left === 0 ? undefined : takeLater(from);
  const version = {
    cluster,
    number,
    parent: first ? undefined : parent,
    floor,
    replicas,
    arcs,
    members,
    owners,
    givenUp,
    givenUpMs,
    tenants,
    ...(lost && { lost }),
    ...(later && { later }),
  };
  checkOrder(givenUp, 'given up');
  // longer numbers, texts that are no UTF-8: a version has one name only
  if (Buffer.compare(encodeVersion(version), bytes) !== 0) throw new BytesError('not the bytes it is written as');
  return version;
}

function takeMembers(from: ByteReader): Member[] {
  const count = from.count(4);
  if (count === 0 || count > MEMBERS_MAX) throw new BytesError(`${count} members, at most ${MEMBERS_MAX} are read`);
  const members: Member[] = [];
  for (let left = count; left > 0; left--) {
    const id = takeText(from, TEXT_BYTES_MAX);
    const zone = takeText(from, TEXT_BYTES_MAX);
    const address = takeText(from, TEXT_BYTES_MAX);
    const state = STATES[from.u8()];
    if (id === '' || state === undefined) throw new BytesError('a member without name or state');
    members.push({ id, zone, address, state });
  }
  checkOrder(
    members.map(({ id }) => id),
    'members',
  );
  return members;
}

function takeOwners(from: ByteReader, arcs: number, replicas: number, members: readonly Member[]): Uint16Array {
  const wide = isWide(members.length);
  const bytes = from.take(arcs * replicas * (wide ? 2 : 1));
  const owners = new Uint16Array(arcs * replicas);
  for (let i = 0; i < owners.length; i++) {
    const low = bytes[wide ? 2 * i : i]!;
    const owner = wide ? low | (bytes[2 * i + 1]! << 8) : low === 0xff ? NO_OWNER : low;
    owners[i] = owner;
    const replica = i % replicas;
    if (owner === NO_OWNER) {
      if (replica === 0) throw new BytesError(`arc ${i / replicas} has no owner`);
      continue;
    }
    if (members[owner]?.state !== 'active') throw new BytesError(`an owner that is no active member: ${owner}`);
    for (let j = i - replica; j < i; j++) {
      if (owners[j] === owner) throw new BytesError(`two times the same owner of arc ${Math.floor(i / replicas)}`);
      if (owners[j] === NO_OWNER) throw new BytesError(`an owner behind none of arc ${Math.floor(i / replicas)}`);
    }
  }
  return owners;
}

function takeTenants(from: ByteReader): Map<string, SlotSizes> {
  const tenants = new Map<string, SlotSizes>();
  for (let left = from.count(3); left > 0; left--) {
    const tenant = takeText(from, TEXT_BYTES_MAX);
    const buckets = takeSlots(from);
    const splits = new Map<string, number>();
    for (let more = from.count(2); more > 0; more--) {
      const metric = takeText(from, METRIC_BYTES_MAX);
      const parts = takeSlots(from);
      if (parts === 1) throw new BytesError('a split metric of one part');
      splits.set(metric, parts);
    }
    if (buckets === 1 && splits.size === 0) throw new BytesError('a tenant of one slot');
    tenants.set(tenant, { buckets, splits });
  }
  return tenants;
}

/** Undefined: there are none, and fields of later builds follow. */
function takeLost(from: ByteReader): GivenUp[] | undefined {
  const count = from.count(2);
  if (count === 0 && from.left > 0) return undefined;
  if (count === 0 || count > LOST_MAX) throw new BytesError(`${count} owners lost, 1 to ${LOST_MAX} are read`);
  const lost = Array.from({ length: count }, () => ({ id: takeText(from, TEXT_BYTES_MAX), atMs: from.uvarint() }));
  checkOrder(
    lost.map(({ id }) => id),
    'lost',
  );
  return lost;
}

function takeLater(from: ByteReader): Map<string, Uint8Array> {
  const later = new Map<string, Uint8Array>();
  while (from.left > 0) {
    const name = takeText(from, TEXT_BYTES_MAX);
    if (name === '' || later.has(name)) throw new BytesError('a field of a later build without a name of its own');
    later.set(name, from.take(from.uvarint(LATER_BYTES_MAX)).slice());
    if (later.size > LATER_MAX) throw new BytesError(`more than ${LATER_MAX} fields of later builds`);
  }
  return later;
}

function takeSlots(from: ByteReader): number {
  const count = SLOT_COUNTS[from.u8()];
  if (count === undefined) throw new BytesError('a number of slots that there is not');
  return count;
}

/** One byte an owner as long as 255 is free to say that there is none. */
function isWide(members: number): boolean {
  return members > 0xff;
}

function putText(out: ByteWriter, text: string): void {
  const bytes = Buffer.from(text);
  out.uvarint(bytes.length);
  out.bytes(bytes);
}

function takeText(from: ByteReader, bytesMax: number): string {
  return Buffer.from(from.take(from.uvarint(bytesMax))).toString();
}

function inOrder<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => compareIds(a, b));
}

/** By the bytes, the same for everyone whatever the language. */
export function compareIds(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function checkOrder(ids: readonly string[], what: string): void {
  for (let i = 1; i < ids.length; i++) {
    if (compareIds(ids[i - 1]!, ids[i]!) >= 0) throw new BytesError(`${what} are not in ascending order`);
  }
}

/** Ids of an arc's owners, in their order: the first looks first whether the store has what is due. */
export function ownersOf(version: RingVersion, arc: number): string[] {
  const { owners, members, replicas } = version;
  const found: string[] = [];
  for (let at = arc * replicas; at < (arc + 1) * replicas; at++) {
    if (owners[at] !== NO_OWNER) found.push(members[owners[at]!]!.id);
  }
  return found;
}
