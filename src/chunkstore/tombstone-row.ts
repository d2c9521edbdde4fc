import { BytesError, ByteWriter } from '../lib/bytes.ts';
import { LabelMatcher, type MatchOp } from '../model/matcher.ts';
import { compileRegex, RegexSyntaxError } from '../model/regex/regex.ts';
import { openRow, putText, sealRow, takeText } from './row-value.ts';

/** A request to delete what a selector matches in a range. Queries leave it out at once; storage follows with the day-merge. */
export interface Tombstone {
  /** Hex. */
  readonly id: string;
  readonly matchers: readonly LabelMatcher[];
  /** Both ends included. */
  readonly startMs: number;
  readonly endMs: number;
  readonly createdMs: number;
  /** Pending: it may still be cancelled, or is not through. Processed: storage no longer has what it deletes. */
  readonly state: 'pending' | 'processed';
}

const ROW_VERSION = 1;
const OPS: readonly MatchOp[] = ['=', '!=', '=~', '!~'];
const STATES = ['pending', 'processed'] as const;
const ID_BYTES = 16;

export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  const out = new ByteWriter();
  out.bytes(Buffer.from(tombstone.id, 'hex'));
  out.u8(STATES.indexOf(tombstone.state));
  out.f64(tombstone.startMs);
  out.f64(tombstone.endMs);
  out.f64(tombstone.createdMs);
  out.uvarint(tombstone.matchers.length);
  for (const { name, op, value } of tombstone.matchers) {
    out.u8(OPS.indexOf(op));
    putText(out, name);
    putText(out, value);
  }
  return sealRow(ROW_VERSION, out.done());
}

/** @param compile the regular expressions of its matchers @throws BytesError */
export function decodeTombstone(value: Uint8Array, compile = compileRegex): Tombstone {
  const from = openRow(ROW_VERSION, value);
  const id = Buffer.from(from.take(ID_BYTES)).toString('hex');
  const state = STATES[from.u8()];
  if (state === undefined) throw new BytesError('an unknown state');
  const startMs = from.f64();
  const endMs = from.f64();
  const createdMs = from.f64();
  const matchers = Array.from({ length: from.count(3) }, () => {
    const op = OPS[from.u8()];
    if (op === undefined) throw new BytesError('an unknown operator');
    const name = takeText(from);
    return matcherOf(name, op, takeText(from), compile);
  });
  from.end();
  return { id, matchers, startMs, endMs, createdMs, state };
}

function matcherOf(name: string, op: MatchOp, value: string, compile: typeof compileRegex): LabelMatcher {
  try {
    return LabelMatcher.of(name, op, value, compile);
  } catch (cause) {
    if (!(cause instanceof RegexSyntaxError)) throw cause;
    throw new BytesError(`a matcher that is none: ${cause.message}`, { cause });
  }
}
