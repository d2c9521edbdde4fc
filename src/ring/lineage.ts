import type { RingVersion } from './version.ts';

/** A version with its name. */
export interface NamedVersion {
  readonly version: RingVersion;
  readonly hash: string;
}

/**
 * How what a member is offered relates to the version that it confirmed:
 * - `same`: it is that one;
 * - `follow`: it descends from it, by `path`, ascending, the offered one last;
 * - `fetch`: it may descend from it, but the version named `hash` has to be read first to know;
 * - `replace`: it does not (older, of another cluster, of another branch): the member puts its own in its place.
 */
export type Lineage =
  | { readonly kind: 'same' }
  | { readonly kind: 'follow'; readonly path: readonly NamedVersion[] }
  | { readonly kind: 'fetch'; readonly hash: string; readonly number: number }
  | { readonly kind: 'replace' };

/**
 * A member follows only descendants of what it confirmed: an answer that is empty, older or another cluster's never takes its arcs.
 * @param known versions by hash, as far as they were read; each must have the hash that it is found by
 */
export function lineageOf(
  confirmed: NamedVersion,
  offered: NamedVersion | undefined,
  known: ReadonlyMap<string, RingVersion>,
): Lineage {
  if (offered === undefined) return { kind: 'replace' };
  if (offered.hash === confirmed.hash) return { kind: 'same' };
  const path = [offered];
  for (let each = offered; ; ) {
    const { version } = each;
    if (version.cluster !== confirmed.version.cluster) return { kind: 'replace' };
    if (version.number <= confirmed.version.number || version.parent === undefined) return { kind: 'replace' };
    const parent = version.parent === confirmed.hash ? confirmed.version : known.get(version.parent);
    if (parent === undefined) return { kind: 'fetch', hash: version.parent, number: version.number - 1 };
    // numbers that do not follow, or a floor that falls, are no descendant's
    if (parent.number !== version.number - 1 || parent.floor > version.floor) return { kind: 'replace' };
    if (version.parent === confirmed.hash) return { kind: 'follow', path: path.reverse() };
    each = { version: parent, hash: version.parent };
    path.push(each);
  }
}
