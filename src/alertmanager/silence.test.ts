import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMatchers } from './matcher-parser.ts';
import {
  canUpdate,
  checkSilence,
  expiredSilence,
  type Silence,
  silencedBy,
  silenceMatcher,
  silenceState,
  sortedSilences,
} from './silence.ts';

function silence(matchers: string, startsAtMs: number, endsAtMs: number, id = 'x'): Silence {
  const texts = { createdBy: 'me', comment: 'why', annotations: new Map() };
  return { id, matchers: parseMatchers(matchers), startsAtMs, endsAtMs, updatedAtMs: 0, ...texts };
}

test('states, and the silences of an alert', () => {
  const all = [silence('a="b"', 10, 20, '1'), silence('a=~"b.*"', 10, 30, '2'), silence('c="d"', 0, 99, '3')];
  assert.deepEqual(
    [9, 10, 19, 20].map((nowMs) => silenceState(all[0]!, nowMs)),
    ['pending', 'active', 'active', 'expired'],
  );
  assert.deepEqual(silencedBy(all, new Map([['a', 'b']]), 15), ['1', '2']);
  assert.deepEqual(silencedBy(all, new Map([['a', 'b']]), 25), ['2']);
  assert.deepEqual(
    sortedSilences([...all, silence('a="b"', 50, 60, '4')], 25).map(({ id }) => id),
    ['2', '3', '4', '1'],
  );
});

test('a silence is changed in place only where that does not rewrite the past', () => {
  const old = silence('a="b"', 10_000, 20_000);
  assert.ok(canUpdate(old, { ...old, endsAtMs: 30_000, comment: 'more' }, 15_000));
  assert.ok(canUpdate(old, { ...old, startsAtMs: 10_900 }, 15_000), 'the same second');
  assert.ok(!canUpdate(old, { ...old, startsAtMs: 11_000 }, 15_000));
  assert.ok(!canUpdate(old, { ...old, endsAtMs: 14_000 }, 15_000));
  assert.ok(!canUpdate(old, { ...old, matchers: parseMatchers('a="c"') }, 15_000));
  assert.ok(canUpdate(old, { ...old, startsAtMs: 12_000 }, 5_000));
  assert.ok(!canUpdate(old, { ...old, startsAtMs: 4_000 }, 5_000));
  assert.ok(!canUpdate(old, old, 25_000));
  assert.equal(expiredSilence(old, 15_000)?.endsAtMs, 15_000);
  assert.equal(expiredSilence(old, 5_000)?.startsAtMs, 5_000);
  assert.equal(expiredSilence(old, 25_000), undefined);
});

test('verdicts', () => {
  for (const [given, message] of [
    [silence('', 1, 2), 'invalid silence: matcher set 0 is empty'],
    [silence('a=~".*"', 1, 2), 'invalid silence: matcher set 0: at least one matcher must not match the empty string'],
    [silence('a="b"', 2, 1), 'invalid silence: end time must not be before start time'],
  ] as const) {
    assert.throws(() => checkSilence(given), { message });
  }
  checkSilence(silence('a!="b"', 1, 2));
  assert.throws(() => silenceMatcher('a', '(', true, true, 1), {
    message:
      'invalid silence: invalid label matcher 1 in set 0: invalid regular expression "(": error parsing regexp: missing closing ): `(`',
  });
});
