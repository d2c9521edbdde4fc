import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadSelect } from '../../contract/ingester.ts';
import { HeldRange } from '../head/held-range.ts';
import { ShardsClient } from './shard-client.ts';
import type { ShardCalls, ShardSlice } from './shard-messages.ts';

const { signal } = new AbortController();
const REQUEST: HeadSelect = { tenant: 't', matchers: [], startMs: 0, endMs: 1, labelsOnly: false, packed: true };

/** Shards whose first slices are these, and what was called of them. */
function shardsOf(...firsts: (ShardSlice | Error)[]) {
  const called: string[] = [];
  const shards = firsts.map((first, i) => {
    const call = async (name: string, body: { readonly cursor?: number }) => {
      called.push(`${i} ${name}${body.cursor === undefined ? '' : ` ${body.cursor}`}`);
      if (first instanceof Error) throw first;
      return first;
    };
    return { channel: { call } as unknown as ShardCalls, held: HeldRange.everything() };
  });
  return { client: new ShardsClient(shards), called };
}

const slice = (cursor: number): ShardSlice => ({ cursor, bytes: new Uint8Array(1), warnings: [] });

test('all slices at once, where each shard has one only; else nothing is left open', async () => {
  const whole = shardsOf(slice(0), slice(0));
  const found = await whole.client.selectWhole(REQUEST, signal);
  assert.deepEqual(
    found!.map(({ alone, isAll }) => [alone, isAll]),
    [
      [false, true],
      [false, true],
    ],
  );
  assert.equal((await shardsOf(slice(0)).client.selectWhole(REQUEST, signal))![0]!.alone, true);

  const long = shardsOf(slice(0), slice(7));
  assert.equal(await long.client.selectWhole(REQUEST, signal), undefined);
  assert.deepEqual(long.called, ['0 select', '1 select', '1 selectClose 7']);

  const failing = shardsOf(slice(5), new Error('away'));
  await assert.rejects(failing.client.selectWhole(REQUEST, signal), /away/);
  assert.deepEqual(failing.called, ['0 select', '1 select', '0 selectClose 5']);
});
