import type { KvClient } from '../kv/client.ts';
import { BytesError } from '../lib/bytes.ts';
import { decodeNewest, NEWEST_KEY, versionKey } from './row.ts';
import type { Member } from './version.ts';
import { decodeVersion } from './version.ts';

/** Members of the newest version that the store of the ring offers, for a process that may not have the ring yet; empty: it offers none. */
export async function newestMembers(kv: Pick<KvClient, 'get'>, signal: AbortSignal): Promise<readonly Member[]> {
  const newest = await kv.get(NEWEST_KEY, signal);
  const offered = newest === undefined ? undefined : decodeNewest(newest.value);
  const document = offered === undefined ? undefined : await kv.get(versionKey(offered.hash), signal);
  if (document === undefined) return [];
  try {
    return decodeVersion(document.value).members;
  } catch (error) {
    if (error instanceof BytesError) return [];
    throw error;
  }
}
