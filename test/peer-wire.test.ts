import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzPeerWire } from './fuzz/peer-wire.ts';

test('changed frames between processes crash nobody and reach no head', async (t) => {
  const { cut, taken } = await fuzzPeerWire(t, 1500, 1);
  assert.ok(cut > 500 && taken > 10, `${cut} connections were ended, ${taken} pushes taken`);
});
