import { catalogue } from './errors.ts';

/** Changes of the ring that are refused, and requests that no version of it is there for. */
export const ringErrors = catalogue({
  ringMemberUnknown: {
    http: 404,
    promType: 'not_found',
    retry: false,
    text: (v: { member: string }) => `the ring has no member ${v.member}`,
  },
  ringMemberKnown: {
    http: 409,
    promType: 'bad_data',
    retry: false,
    text: (v: { member: string }) => `${v.member} is a member of the ring already`,
  },
  ringMembersTooFew: {
    http: 409,
    promType: 'bad_data',
    retry: true,
    text: (v: { change: string; members: number; replicas: number }) =>
      `${v.change} refused: ${v.members} members would own arcs, and each arc has ${v.replicas} owners; add members first, or force it`,
  },
  ringZonesTooFew: {
    http: 409,
    promType: 'bad_data',
    retry: true,
    text: (v: { change: string; zones: number; replicas: number }) =>
      `${v.change} refused: it would leave ${v.zones} zones for ${v.replicas} owners of an arc; add members in other zones first, or force it`,
  },
  ringZoneDiffers: {
    http: 409,
    promType: 'bad_data',
    retry: false,
    text: (v: { member: string; zone: string; newZone: string }) =>
      `replacing ${v.member} of zone '${v.zone}' by a member of zone '${v.newZone}' refused: owners of an arc would share a zone; let the new one join and the old one drain, or force it`,
  },
  ringOwnersTakenTwice: {
    http: 409,
    promType: 'unavailable',
    retry: true,
    text: (v: { arcs: number; of: number }) =>
      `${v.arcs} of ${v.of} arcs would lose two owners since the last version that all members confirmed; wait until the newest is confirmed, or force it`,
  },
  ringNotConfirmed: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { members: number }) =>
      `the first version of the ring is not confirmed by all of its ${v.members} members yet`,
  },
  ringVersionUnknown: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { number: number; known: number }) =>
      `version ${v.number} of the ring is not followed by this member, which is at version ${v.known}`,
  },
  ringReaderAway: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { reason: string }) => v.reason,
  },
  ringFolderDamaged: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { file: string }) =>
      `${v.file} is damaged: put it back from where the folder was copied, or move the folder away, then this is another member`,
  },
  ringNameDiffers: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { name: string; id: string }) =>
      `the data folder is that of ${v.id}, and the member's name is now ${v.name}: give it its name back, or an empty folder`,
  },
  ringMemberTwice: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { id: string }) =>
      `another process is ${v.id}, and was started later: the data folder was copied, or this process should have ended; move the copy's ring-member.json away and its log with it`,
  },
  ringLogTooOld: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { ageMs: number; limitMs: number }) =>
      `the log was written to ${v.ageMs} ms ago, above -ingester.wal-age-max (${v.limitMs} ms): deletions of its samples may be forgotten; say that it is to be taken, or move the folder away`,
  },
  ringDeletionsUnread: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { shard: number; ageMs: number; limitMs: number }) =>
      `nothing of shard ${v.shard} is flushed: it has samples from ${v.ageMs} ms ago, above -ingester.wal-age-max (${v.limitMs} ms), and requests to delete them may be forgotten; say that they are to be written, or move the folder away`,
  },
  ringReadsUnvouched: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { ageMs: number; limitMs: number }) =>
      `it has samples from ${v.ageMs} ms ago, above -ingester.wal-age-max (${v.limitMs} ms), and requests to delete them may be forgotten`,
  },
  ringSettling: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (v: { waiting: string }) =>
      `the key-value store lost what was written to it, and a newer version may be lost with it: waiting for a heartbeat of ${v.waiting}, or force it`,
  },
  ringRaced: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) =>
      'another version of the ring was made at the same time, or the key-value store holds another one',
  },
  ringUnknown: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'no version of the ring is known yet',
  },
  ringSettingsDiffer: {
    http: 500,
    promType: 'internal',
    retry: false,
    text: (v: { differences: readonly string[] }) =>
      `this process does not join, for its settings are not those of the cluster: ${v.differences.join('; ')}`,
  },
});
