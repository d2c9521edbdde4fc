import { test } from 'node:test';
import { fuzzPeerWire } from './peer-wire.ts';

// 100,000 frames between processes that are changed at random (peer-wire.ts). FUZZ_RUNS and FUZZ_SEED change how many and which;
// test/peer-wire.test.ts has a short form.

const RUNS = Number(process.env.FUZZ_RUNS ?? 100_000);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);

test(`${RUNS} changed frames crash nobody and reach no head, seed ${SEED}`, async (t) => {
  const { cut, taken } = await fuzzPeerWire(t, RUNS, SEED);
  t.diagnostic(`${cut} connections were ended, ${taken} changed pushes were such as another process may send`);
});
