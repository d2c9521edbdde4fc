import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { FRAME_KEY } from '../wire/frame-layout.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { Scratch } from './scratch.ts';

// More series than an edge keeps the order of, of two tenants whose series have the same labels.

const SERIES = 200_000;
const A_BODY = 5000;
const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const BOUNDS = { fromMs: -1e15, minMs: -1e15, keptFromMs: -1e15, toMs: 1e15, exemplarsToMs: 1e15 };

/** A body whose series are told by their number, from `from` on; the labels of the numbers in `changed` are others. */
function bodyOf(from: number, changed?: number): Uint8Array {
  const series: Buffer[] = [];
  for (let i = from; i < from + A_BODY; i++) {
    const value = `${i === changed ? 'x' : 'y'}${i}`.padStart(9, '0');
    series.push(
      Buffer.from(
        `\n\x2d\n\x10\n\x08__name__\x12\x04many\n\x0e\n\x01i\x12\x09${value}\x12\x09\t\0\0\0\0\0\0\xf0?`,
        'latin1',
      ),
    );
  }
  return deflateSnappy(Buffer.concat(series));
}

test('series are told apart whatever came before them, when the order of more than are kept is asked for', () => {
  const scratch = new Scratch(SECRET);
  /** The keys of the series that the frames of a body name. */
  const namesOf = (tenant: string, body: Uint8Array) => {
    const raw = scratch.inflate(body, A_BODY * 64);
    for (const _ of scratch.scan(tenant, raw, DEFAULT_LIMITS, BOUNDS, undefined, {
      useKnown: true,
      hashLabels: false,
    }));
    const names: string[] = [];
    let keys = 0;
    for (const frame = scratch.frames; frame.next(); ) {
      if (frame.has(FRAME_KEY)) keys++;
      names.push(frame.has(FRAME_KEY) ? Buffer.from(frame.labels).toString('latin1') : scratch.keyOf(frame.labels)!);
    }
    return { keys, names };
  };
  const first = new Map<string, string>();
  const all = new Set<string>();
  for (let round = 0; round < 4; round++) {
    for (const tenant of ['a', 'b']) {
      for (let from = 0; from < SERIES; from += A_BODY) {
        const { keys, names } = namesOf(tenant, bodyOf(from));
        if (round > 0) assert.ok(keys > 0.7 * A_BODY, `${keys} known`);
        const digest = createHash('sha256').update(names.join('')).digest('hex');
        if (round === 0) for (const name of names) all.add(name);
        assert.equal(
          digest,
          first.get(`${tenant} ${from}`) ?? first.set(`${tenant} ${from}`, digest).get(`${tenant} ${from}`),
          `${round} ${tenant} ${from}`,
        );
      }
    }
  }
  assert.equal(all.size, 2 * SERIES);

  // one of them is another now, in the midst of those that follow each other as before
  const [before, after] = [namesOf('a', bodyOf(0)).names, namesOf('a', bodyOf(0, 7)).names];
  assert.deepEqual(
    after.flatMap((name, i) => (name === before[i] ? [] : [i])),
    [7],
  );
  assert.ok(!all.has(after[7]!));
});
