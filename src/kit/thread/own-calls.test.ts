import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownCalls, Transferred } from './channel.ts';

type EchoRole = {
  echo(request: Uint8Array): Uint8Array;
  moved(request: Uint8Array): Transferred<Uint8Array>;
  fail(request: Error): never;
  isCancelled(request: null, call: { readonly signal: AbortSignal }): boolean;
};

test('a role that is called as it is gets requests themselves, and its answers and errors come back themselves', async () => {
  const { call } = ownCalls<EchoRole>({
    echo: (request) => request,
    moved: (request) => Transferred.of(request, [request.buffer as ArrayBuffer]),
    fail: (request) => {
      throw request;
    },
    isCancelled: (_, { signal }) => signal.aborted,
  });
  const bytes = new Uint8Array([1, 2, 3]);
  assert.equal(await call('echo', bytes, { transfer: [bytes.buffer] }), bytes);
  assert.equal(await call('moved', bytes), bytes);
  assert.equal(bytes.length, 3, 'nothing has moved');
  const error = new Error('no');
  await assert.rejects(call('fail', error), error);
  assert.equal(await call('isCancelled', null), false);
  assert.equal(await call('isCancelled', null, { signal: AbortSignal.abort() }), true);
});
