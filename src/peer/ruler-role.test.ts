import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RuleGroupState } from '../contract/rules.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller } from '../kit/rpc/role.ts';
import { remoteRules, rulerRole } from './ruler-role.ts';

const SIGNAL = new AbortController().signal;

const GROUP: RuleGroupState = {
  name: 'g',
  file: 'ns',
  intervalMs: 60_000,
  limit: 0,
  evaluationMs: 1.5,
  evaluatedAtMs: 1_000,
  rules: [
    {
      kind: 'alert',
      name: 'A',
      query: 'x > 1',
      labels: ['severity', 'page'],
      annotations: [],
      forMs: 0,
      keepFiringForMs: 0,
      health: 'err',
      lastError: 'boom',
      evaluationMs: 1,
      evaluatedAtMs: undefined,
      alerts: [
        {
          labels: ['alertname', 'A'],
          annotations: ['a', ''],
          state: 'firing',
          activeAtMs: 5,
          keepFiringSinceMs: undefined,
          value: Number.NaN,
        },
      ],
    },
  ],
};

/** The other end of a role, with all on its way as bytes. */
function callerOf(groups: unknown): RpcCaller {
  const role = rulerRole(async (tenant) => {
    assert.equal(tenant, 'a');
    return groups as readonly RuleGroupState[];
  });
  return {
    async call(method, head) {
      const given = { head: decodeValue(encodeValue(head)), body: new Uint8Array(0) };
      const { body = new Uint8Array(0) } = await role[method]!(given, { signal: SIGNAL, peer: 'x' });
      return { head: undefined, body };
    },
    stream: () => assert.fail('it is no stream'),
  };
}

test('groups of another ruler arrive as they are', async () => {
  assert.deepEqual(await remoteRules(callerOf([GROUP]))('a', SIGNAL), [GROUP]);
});

test('what is no group is refused', async () => {
  for (const wrong of [
    {},
    [{}],
    [{ ...GROUP, limit: -1 }],
    [{ ...GROUP, rules: [{ ...GROUP.rules[0], health: 'x' }] }],
  ]) {
    await assert.rejects(remoteRules(callerOf(wrong))('a', SIGNAL), /is not as it should be/);
  }
});
