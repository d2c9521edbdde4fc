/** A rule that is taken out by an edit of the source before it is loaded: what ships has no switch for it. */
export interface Edit {
  /** Below `src/`. */
  readonly file: string;
  /** Text that is there once. */
  readonly find: string;
  readonly put: string;
}

/** Facts of errors, as the catalogues of `src/model` have them. */
const UNAVAILABLE = "    http: 503,\n    promType: 'unavailable',\n    retry: true,";
const BAD_DATA = "    http: 400,\n    promType: 'bad_data',\n    retry: false,";

/** Rules that nobody can take out by what a process is put together from, with what holds without them. */
export const EDITED_RULES = {
  'what rots is told for as far back as samples came': {
    else: 'a part of a log that cannot be read is told for a window to either side of the newest sample',
    edits: [
      {
        file: 'ingester/shard/losses.ts',
        find: 'Math.max(this.#windowMs, this.#reachMs())',
        put: 'this.#windowMs',
      },
    ],
  },
  'one owner of an arc at a time': {
    else: 'a version may take two owners of an arc since the last that counts',
    edits: [
      { file: 'ring/placement.ts', find: 'this.#goneMax(arc, owner) <= 1', put: 'this.#goneMax(arc, owner) <= 9' },
      { file: 'ring/placement.ts', find: 'if (twice > 0 && ', put: 'if (twice > 1e9 && ' },
    ],
  },
  'the newest version is asked whatever was said': {
    else: 'who gave its word for the newest version that a reader knows is not asked under it',
    edits: [
      {
        file: 'ring/asks.ts',
        find: 'const silent = isNewest ? owners : owners.filter(',
        put: 'const silent = owners.filter(',
      },
      {
        file: 'ring/asks.ts',
        find: 'if (asks.has(key)) continue;',
        put: 'if (asks.has(key) || said >= quorum) continue;',
      },
    ],
  },
  'writes of old versions are refused': {
    else: 'a member takes writes of a version that it gave its word for, and they count although it knows a newer one',
    edits: [
      {
        file: 'ring/member.ts',
        find: 'if (number <= Math.max(this.refusedUpTo(), this.#file.saved.word))',
        put: 'if (number < 0)',
      },
      { file: 'ingester/member.ts', find: 'if (view.newest.number > number) return true;', put: '' },
    ],
  },
  'a word holds over restarts': {
    else: 'a member that starts takes writes of a version that it gave its word for, and they count although it knows a newer one',
    edits: [
      {
        file: 'ring/member.ts',
        find: 'if (number <= Math.max(this.refusedUpTo(), this.#file.saved.word))',
        put: 'if (number <= this.refusedUpTo())',
      },
      { file: 'ingester/member.ts', find: 'if (view.newest.number > number) return true;', put: '' },
    ],
  },
  'who has not read deletions writes nothing': {
    else: 'a holder writes what it has, however long ago it read the requests to delete',
    edits: [
      { file: 'ingester/flush/flush.ts', find: 'if (ageMs <= limitMs) {', put: 'if (limitMs > 0) {' },
      { file: 'ingester/flush/flush.ts', find: 'leftMs = Math.min(leftMs, limitMs - ageMs);', put: '' },
    ],
  },
  'who has not read deletions answers nothing': {
    else: 'a holder answers reads, however long ago it read the requests to delete',
    edits: [{ file: 'ingester/service.ts', find: 'if (ageMs <= config.walAgeMaxMs)', put: 'if (ageMs > 0)' }],
  },
  'requests are kept as long as logs': {
    else: 'a request is forgotten a day after it could not be cancelled any more',
    edits: [
      {
        file: 'chunkstore/tombstones.ts',
        find: 'Math.max(KEPT_MS_MIN, walAgeMaxMs + CLOCKS_MS)',
        put: 'Math.min(86_400_000, walAgeMaxMs)',
      },
    ],
  },
  'a last look before a request is forgotten': {
    else: 'a request is forgotten although something came to the store since it was through',
    edits: [
      {
        file: 'compactor/compactor.ts',
        find: 'const { startMs, endMs } = tombstone;\n    for (const day',
        put: 'const { startMs, endMs } = { startMs: 1, endMs: 2 };\n    for (const day',
      },
    ],
  },
  'flushes leave out what is deleted': {
    else: 'a holder writes what requests that are through delete, and the last look is missing, too',
    edits: [
      {
        file: 'ingester/flush/flush-deletions.ts',
        find: 'if (this.#deletions.length === 0) return',
        put: 'if (this.#deletions.length >= 0) return',
      },
      {
        file: 'compactor/compactor.ts',
        find: 'const { startMs, endMs } = tombstone;\n    for (const day',
        put: 'const { startMs, endMs } = { startMs: 1, endMs: 2 };\n    for (const day',
      },
    ],
  },
  'what is deleted is refused': {
    else: 'a sample that a kept request covers is taken, and lost with the next flush',
    edits: [
      {
        file: 'ingester/shard/deletions.ts',
        find: 'if (kept.length === 0) return undefined;',
        put: 'if (kept.length >= 0) return undefined;',
      },
    ],
  },
  'replacing waits for whole owners': {
    else: 'a member is replaced and taken out whatever the other owners of its arcs have',
    edits: [{ file: 'ring/plan.ts', find: ' || !areOthersWell(input, id)', put: '' }],
  },
  'a store that went back is doubted': {
    else: 'versions are made right after the key-value store lost what was written to it',
    edits: [
      {
        file: 'ring/settling.ts',
        find: 'get isOn(): boolean {\n    return this.#missing !== undefined;',
        put: 'get isOn(): boolean {\n    return false;',
      },
      {
        file: 'ring/settling.ts',
        find: '): string | undefined {\n',
        put: '): string | undefined {\n    if (this.#ownId !== "") return undefined;\n',
      },
      { file: 'ring/settling.ts', find: 'this.losses++;', put: '' },
    ],
  },
  'the own version goes in the place of others': {
    else: 'a key-value store that went back is believed',
    edits: [{ file: 'ring/member.ts', find: 'await this.#replace(offer);', put: '' }],
  },
  'who lost something gives no word': {
    else: 'a member gives its word although its machine lost samples',
    edits: [
      {
        file: 'ingester/ring-life.ts',
        find: 'if (stored !== undefined && !hasLosses)',
        put: 'if (stored !== undefined)',
      },
    ],
  },
  'words of those that left are put back': {
    else: 'a key-value store that went back lacks the words of those that left',
    edits: [{ file: 'ring/member.ts', find: 'if (this.#settling.hasRowsToPutBack) await', put: 'if (false) await' }],
  },
  'the word is about what came before': {
    else: 'a member gives its word when its next look finds something stored',
    edits: [
      { file: 'ingester/ring-life.ts', find: 'await member.settled(upTo);\n', put: '' },
      { file: 'ingester/ring-life.ts', find: 'owed: await ingester.owed() }', put: 'owed: new Set() }' },
    ],
  },
  'what is confirmed lies beside the log': {
    else: 'a member confirms a version that does not lie beside its log',
    edits: [{ file: 'ring/member.ts', find: 'this.#folder.saveVersions(chain);', put: '' }],
  },
  'the store is looked at under every placement': {
    else: 'a holder looks for what it owes in the slots of its own sizes only',
    edits: [
      {
        file: 'chunkstore/stored-samples.ts',
        find: 'if (sameSizes(placement, group.placement)) continue;',
        put: 'if (!sameSizes(placement, group.placement)) continue;',
      },
    ],
  },
  'only what is missing is written': {
    else: 'a holder writes a group whole where the store does not have the very same',
    edits: [
      {
        file: 'chunkstore/stored-samples.ts',
        find: "if (found.length === 0) return 'whole';",
        put: "if (group.id.length > 0) return 'whole';",
      },
    ],
  },
  'an address belongs to who has it now': {
    else: 'a member that another one replaced is asked at its address, where the other answers',
    edits: [
      {
        file: 'ring/view.ts',
        find: 'return newer.has(found.address) ? undefined : found.address;',
        put: 'return found.address;',
      },
    ],
  },
  'who was taken out does not join by a wish of before': {
    else: 'a member that was given up joins again as long as its row is fresh',
    edits: [{ file: 'ring/plan.ts', find: '.filter((row) => knowsThatItIsOut(row, view))', put: '' }],
  },
  'losses are warnings where nobody is left to ask': {
    else: 'owners that lost something are a quorum, with a warning, although another one may have what they lost',
    edits: [
      {
        file: 'querier/read-quorums.ts',
        find: 'counted + lost === ask.owners.length + ask.gone.length;',
        put: 'counted + lost >= ask.quorum;',
      },
    ],
  },
  'the floor waits for all that are left': {
    else: 'a version is forgotten although one owner was given up and one has not said that the store has all, and nobody is told of the former',
    edits: [
      { file: 'ring/confirmation.ts', find: 'return silent.every((id)', put: 'return silent.some((id)' },
      {
        file: 'ring/confirmation.ts',
        find: 'for (const gone of goneOf(silent, later)) lost.set(gone.id, gone);',
        put: '',
      },
    ],
  },
  'who took samples with it is told of': {
    else: 'an owner that was given up is told of only as long as a version has it',
    edits: [
      {
        file: 'ring/confirmation.ts',
        find: 'for (const gone of goneOf(silent, later)) lost.set(gone.id, gone);',
        put: '',
      },
    ],
  },
  'arcs are those of each version': {
    else: 'older versions are asked for the arcs that series have under the newest',
    edits: [
      { file: 'ring/asks.ts', find: 'arcsOf(slotsOf(version), tenant', put: 'arcsOf(slotsOf(view.newest), tenant' },
    ],
  },
  'a word counts as an answer': {
    else: 'who gave its word for a version, and left, is asked under it like any other owner',
    edits: [
      {
        file: 'ring/asks.ts',
        find: 'const silent = isNewest ? owners : owners.filter(',
        put: 'const silent = isNewest || owners.length > 0 ? owners : owners.filter(',
      },
    ],
  },
  'who was taken out can be given up': {
    else: 'an operator can give up members of the newest version only',
    edits: [{ file: 'ring/plan.ts', find: "if (force && isPast && change.kind === 'remove')", put: 'if (false)' }],
  },
  'who was given up is told of': {
    else: 'an answer that rests on the word of an operator has no warning',
    edits: [
      {
        file: 'ring/asks.ts',
        find: 'if (said < quorum) for (const each of gone)',
        put: 'if (said < 0) for (const each of gone)',
      },
    ],
  },
  'draining counts as away': {
    else: 'a member that drains refuses samples as if they were wrong, also from writers that do not know that it does',
    edits: [
      { file: 'ingester/member.ts', find: 'if (view.newest.number > number) return true;', put: '' },
      { file: 'ingester/member.ts', find: 'if (view.confirmed > writing) return true;', put: '' },
      { file: 'model/errors-write.ts', find: `ownerAway: {\n${UNAVAILABLE}`, put: `ownerAway: {\n${BAD_DATA}` },
    ],
  },
  'a full disk counts as away': {
    else: 'a member whose log cannot be written refuses samples as if they were wrong',
    edits: [
      {
        file: 'model/errors-write.ts',
        find: `logUnavailable: {\n${UNAVAILABLE}`,
        put: `logUnavailable: {\n${BAD_DATA}`,
      },
    ],
  },
  'a full head counts as away': {
    else: 'a member whose head is full refuses samples as if they were wrong',
    edits: [{ file: 'model/errors-write.ts', find: `headFull: {\n${UNAVAILABLE}`, put: `headFull: {\n${BAD_DATA}` }],
  },
  'replaying counts as away for what is not known yet': {
    else: 'a member that reads its log refuses samples of windows that it may have',
    edits: [
      {
        file: 'ingester/shard/shard.ts',
        find: 'throw byFrame ? queryErrors.replaying({}) : writeErrors',
        put: 'throw writeErrors',
      },
    ],
  },
  'one kept and one refused beside one away are refused': {
    else: 'a sample that one owner kept and one refuses is sent again for as long as the third is away',
    edits: [
      {
        file: 'ring/quorum.ts',
        find: "return refused > 0 && kept + refused >= quorum ? 'refused'",
        put: "return refused >= quorum ? 'refused'",
      },
    ],
  },
  'heartbeats count while the own are written': {
    else: 'the time for which the key-value store was away makes all others old, whose heartbeats nobody could see',
    edits: [
      {
        file: 'ring/heartbeats.ts',
        find: ' && nowMs - this.#writtenMs <= 3 * this.#intervalMs',
        put: '',
      },
    ],
  },
  'a ring begins with as many members as there are owners': {
    else: 'version 1 is made of those that are there, with fewer owners of each arc for good',
    edits: [
      {
        file: 'ring/maker.ts',
        find: 'const { reader, heartbeats, ownId, replicas, arcs, zonesMin, kv, randomBytes } = this.#options;',
        put: `const { reader, heartbeats, ownId, arcs, zonesMin, kv, randomBytes } = this.#options;
    const replicas = Math.min(this.#options.replicas, reader.rows.size);`,
      },
    ],
  },
  'a ring begins with as many zones as are set': {
    else: 'version 1 is made of those that are there, with owners of an arc in one zone',
    edits: [{ file: 'ring/maker.ts', find: ' || zones < zonesMin', put: '' }],
  },
  'a stored sample counts where readers prefer it': {
    else: 'a stored sample of the same time counts as having the own, whichever readers prefer',
    edits: [
      {
        file: 'chunkstore/stored-samples.ts',
        find: ' && !isBetter(own, i, stored, at)',
        put: '',
      },
    ],
  },
  'a stored sample that readers prefer is enough': {
    else: 'a holder writes what it has where the store has another value, also where nobody reads it',
    edits: [
      {
        file: 'chunkstore/stored-samples.ts',
        find: ' && !isBetter(own, i, stored, at)',
        put: ' && own.values[i] === stored.values[at]',
      },
    ],
  },
  'owners look one after another': {
    else: 'all owners of an arc look at the same moment whether the store has a slot',
    edits: [
      {
        file: 'ingester/flush-turn.ts',
        find: 'orderOf(turns, tenant, slot) * waitMs',
        put: '0 * waitMs',
      },
    ],
  },
  'an object is put again before rows name it': {
    else: 'rows name an object that was put long ago, and that may have been swept since, and are tried however old it is',
    edits: [
      {
        file: 'chunkstore/writer.ts',
        find: 'if (isOld(this.#options.clock, object.putMs)) await this.#putAgain(object);',
        put: '',
      },
      { file: 'chunkstore/object-age.ts', find: 'ageMsOf(clock, each) > NAMED_MS_MAX', put: 'false' },
    ],
  },
  'rows that name an object are not tried for ever': {
    else: 'a process that stood still goes on with rows that name an object which has been swept since',
    edits: [{ file: 'chunkstore/object-age.ts', find: 'ageMsOf(clock, each) > NAMED_MS_MAX', put: 'false' }],
  },
  'a log that is too old is refused': {
    else: 'a member starts with a log of any age, and writes and answers with it although it has not read the requests to delete',
    edits: [
      { file: 'ring/member-file.ts', find: 'if (hasLog && ageMs > walAgeMaxMs && !takeOldLog)', put: 'if (ageMs < 0)' },
      { file: 'ingester/flush/flush.ts', find: 'if (ageMs <= limitMs) {', put: 'if (limitMs > 0) {' },
      { file: 'ingester/flush/flush.ts', find: 'leftMs = Math.min(leftMs, limitMs - ageMs);', put: '' },
      { file: 'ingester/service.ts', find: 'if (ageMs <= config.walAgeMaxMs)', put: 'if (ageMs > 0)' },
    ],
  },
  'one compactor has a day': {
    else: 'several compactors change the same day, and the last look is missing, too',
    edits: [
      {
        file: 'chunkstore/day-lease.ts',
        find: 'if (place.period.tables.oneProcess) return',
        put: 'if (day >= 0) return',
      },
      {
        file: 'compactor/compactor.ts',
        find: 'const { startMs, endMs } = tombstone;\n    for (const day',
        put: 'const { startMs, endMs } = { startMs: 1, endMs: 2 };\n    for (const day',
      },
    ],
  },
  'a stop keeps what is stored': {
    else: 'what the store has is left out of the checkpoint that an owner stops with',
    edits: [
      {
        file: 'ingester/shard/shard.ts',
        find: 'options.asked === true ? this.#options.keepFlushedMs : 0',
        put: '0',
      },
    ],
  },
  'a merge is tried for as long as its lease holds': {
    else: 'a compactor that stood still goes on with the rows of a day that another one has changed since',
    edits: [
      { file: 'chunkstore/writer.ts', find: 'ageMsOf(clock, askedMs) > LEASE_HOLDS_MS', put: 'askedMs.wallMs < 0' },
    ],
  },
} as const satisfies Record<string, { readonly else: string; readonly edits: readonly Edit[] }>;

export type EditedRule = keyof typeof EDITED_RULES;
