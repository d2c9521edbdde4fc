import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { AppError } from '../../src/model/errors.ts';
import { type LabelLimits, labelsFault, sortPairs } from '../../src/model/validate.ts';
import { decodeRemoteWrite1 } from '../../src/wire/remote-write-1.ts';
import { decodeRemoteWrite2 } from '../../src/wire/remote-write-2.ts';
import { inflateSnappy } from '../../src/wire/snappy.ts';

const VECTORS = new URL('../../../shared/conformance/vectors/', import.meta.url);
const skip = fs.existsSync(VECTORS) ? false : 'there is no ../shared/conformance';

interface WriteVector {
  readonly name: string;
  readonly proto: 'v1' | 'v2';
  readonly requests: readonly { readonly file: string; readonly spec_status: string }[];
}

/** Requests that are refused before the body is looked at. */
const HEADERS = new Set(['v1_encoding_gzip', 'v1_type_text', 'v1_type_json', 'v1_type_unknown_proto', 'v1_method_get']);

const limits: LabelLimits = {
  maxLabelNamesPerSeries: 30,
  maxLabelNameLength: 1024,
  maxLabelValueLength: 2048,
  maxLabelsSizeBytes: 0,
};

/** Everything that is wrong with a body, by name. */
function faultsOf(body: Uint8Array, proto: 'v1' | 'v2'): string[] {
  try {
    const raw = inflateSnappy(body, 32 << 20, 'max');
    const { series } = proto === 'v1' ? decodeRemoteWrite1(raw) : decodeRemoteWrite2(raw);
    const faults: string[] = [];
    for (const one of series) {
      const fault = one.labelsFault ?? labelsFault(sortPairs(one.pairs), limits)?.reason;
      if (fault !== undefined) faults.push(fault);
      for (const histogram of one.histograms) if (histogram.fault !== undefined) faults.push(histogram.fault.kind);
    }
    return faults;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    return [thrown.facts.id];
  }
}

test('bodies of remote write are taken or refused as the specification has it', { skip }, () => {
  const lines = fs.readFileSync(new URL('remotewrite.jsonl', VECTORS), 'utf8').split('\n');
  let count = 0;
  for (const line of lines) {
    if (line === '') continue;
    const { name, proto, requests } = JSON.parse(line) as WriteVector;
    if (HEADERS.has(name)) continue;
    for (const { file, spec_status } of requests) {
      const faults = faultsOf(fs.readFileSync(new URL(file, VECTORS)), proto);
      if (spec_status === '204') assert.deepEqual(faults, [], name);
      if (spec_status === '4xx') assert.notDeepEqual(faults, [], name);
      count++;
    }
  }
  assert.ok(count >= 70, `${count} bodies`);
});
