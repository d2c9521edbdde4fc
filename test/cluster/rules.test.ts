import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { EDITED_RULES, type EditedRule } from './edits.ts';
import { RULES, type Rule } from './rules.ts';
import { play, SCRIPTS, type ScriptName } from './scripts.ts';
import { type ScenarioName, simulate } from './simulation.ts';

// Each rule of replication, taken out alone, is found: by a seed of a run by chance, or by a scenario that a script directs.

/** A seed that finds that a rule is missing, by rule. */
const SEEDS: readonly { readonly rule: Rule; readonly scenario: ScenarioName; readonly seed: number }[] = [
  { rule: 'write quorum', scenario: 'three', seed: 3 },
  { rule: 'read quorum', scenario: 'three', seed: 14 },
  { rule: 'losses are told', scenario: 'three', seed: 15 },
  { rule: 'replaying counts not', scenario: 'three', seed: 7 },
  { rule: 'keep what is stored', scenario: 'three', seed: 2 },
  { rule: 'each holder owes', scenario: 'three', seed: 2 },
  { rule: 'lists expire first', scenario: 'three', seed: 1 },
  { rule: 'older versions are asked', scenario: 'growing', seed: 5 },
  { rule: 'the store has it before the word', scenario: 'growing', seed: 6 },
];

/** The script that finds it, by rule. */
const PLAYED: { readonly [rule in Rule | EditedRule]?: ScriptName } = {
  'writers wait for a version to count': 'a write under a version that does not count',
  'a newer version asks again': 'a reader that does not know the newest version',
  'the newest version is asked whatever was said': 'a reader that knows words of a version and not the next one',
  'the store is listed after the word': 'two owners that drain and leave',
  'one owner of an arc at a time': 'two owners that are taken out',
  'writes of old versions are refused': 'a writer of a version whose time is over',
  'a word holds over restarts': 'a writer of a version whose time is over, and owners that have just started',
  'an empty folder is another member': 'a folder that is lost beside a cut',
  'the word is about what came before': 'arcs that move twice before a window is flushed',
  'who lost something gives no word': 'a power cut before an arc moves',
  'the own version goes in the place of others': 'a key-value store that is emptied',
  'a store that went back is doubted': 'a key-value store that goes back while one knows no better',
  'words of those that left are put back': 'words of two that left, in a store that goes back',
  'replacing waits for whole owners': 'a folder that is lost beside a power cut',
  'what is confirmed lies beside the log': 'all restart beside a key-value store that is empty',
  'the store is looked at under every placement': 'a tenant that outgrows its slot while a holder is away',
  'only what is missing is written': 'a tenant that outgrows its slot while a holder is away',
  'an address belongs to who has it now': 'a folder that is lost beside a cut',
  'who was taken out does not join by a wish of before': 'an owner that is given up',
  'losses are warnings where nobody is left to ask': 'two that lost something beside one that is cut off',
  'the floor waits for all that are left': 'an owner that is given up',
  'who took samples with it is told of': 'two owners that are given up',
  'arcs are those of each version': 'a tenant that outgrows its slot before a window is flushed',
  'a word counts as an answer': 'one that leaves before two lose something',
  'who was taken out can be given up': 'a power cut after a folder that was lost',
  'who was given up is told of': 'an owner that is given up',
  'windows are told': 'a late sample that a power cut takes',
  'what rots is told for as far back as samples came': 'a late sample that rots',
  'who has not read deletions writes nothing': 'a holder that stood still until a delete request was forgotten',
  'who has not read deletions answers nothing': 'a holder that stood still until a delete request was forgotten',
  'requests are kept as long as logs': 'a holder that was away while a delete request was through',
  'flushes leave out what is deleted': 'a holder that was away while a delete request was through',
  'a last look before a request is forgotten': 'a write that arrives after the request to delete it is through',
  'what is deleted is refused': 'samples of a range that is deleted',
  'draining counts as away': 'a writer that does not know that an owner drains',
  'a full disk counts as away': 'an owner whose disk is full',
  'a full head counts as away': 'owners whose heads are full',
  'replaying counts as away for what is not known yet': 'samples of old windows for an owner that reads its log',
  'one kept and one refused beside one away are refused': 'a sample that one owner has with another value',
  'heartbeats count while the own are written': 'a key-value store that is away for long',
  'a ring begins with as many members as there are owners': 'a ring of too few',
  'a ring begins with as many zones as are set': 'a ring of too few zones',
  'a stored sample counts where readers prefer it': 'two values of one time',
  'a stored sample that readers prefer is enough': 'two values of one time',
  'owners look one after another': 'a window of three holders',
  'an object is put again before rows name it': 'an object whose rows come days later',
  'a log that is too old is refused': 'a member that starts with a log of before a delete request that is forgotten',
  'one compactor has a day': 'a merge that goes on when another compactor has deleted what it read',
  'a stop keeps what is stored': 'owners that are restarted in turn after a flush',
  'a merge is tried for as long as its lease holds': 'a merge that is tried again when a delete request is forgotten',
  'rows that name an object are not tried for ever': 'an object whose rows are tried again days later',
};

// a loaded machine takes many times as long
const TIMEOUT = { timeout: 600_000 };

for (const { rule, scenario, seed } of SEEDS) {
  test(`without a rule a seed notices: ${rule} (else ${RULES[rule]})`, TIMEOUT, async () => {
    const { failure } = await simulate({ scenario, seed, broken: rule });
    assert.equal(failure?.name, 'Wrong', failure?.message);
  });
}

for (const name of Object.keys(SCRIPTS) as ScriptName[]) {
  test(`with all rules nothing is wrong: ${name}`, TIMEOUT, async () => {
    assert.equal(await play(name), undefined);
  });
}

for (const [rule, script] of Object.entries(PLAYED) as [Rule | EditedRule, ScriptName][]) {
  const told = rule in RULES ? RULES[rule as Rule] : EDITED_RULES[rule as EditedRule].else;
  test(`without a rule a script notices: ${rule} (else ${told})`, TIMEOUT, async () => {
    const failure =
      rule in RULES ? await play(script, { broken: rule as Rule }) : await playEdited(rule as EditedRule, script);
    assert.equal(failure?.name, 'Wrong', failure?.message);
  });
}

test('each rule has a seed or a script', () => {
  const found = new Set<string>([...SEEDS.map(({ rule }) => rule), ...Object.keys(PLAYED)]);
  assert.deepEqual(
    [...Object.keys(RULES), ...Object.keys(EDITED_RULES)].filter((rule) => !found.has(rule)),
    [],
  );
});

/** The same in a process whose sources lack the rule. */
async function playEdited(rule: EditedRule, script: ScriptName): Promise<Error | undefined> {
  const file = path.join(import.meta.dirname, 'edited.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--stack-trace-limit=0', file, rule, script]);
  const { name, message } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { name?: string; message?: string };
  return name === undefined ? undefined : Object.assign(new Error(message), { name });
}
