import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { difference, sorted } from '../harness/compare.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { conformanceFolder, readCases, skipWithoutConformance } from './api-data.ts';
import { unexplained, writeDifferences } from './api-differences.ts';
import { sendRaw } from './api-replay.ts';

interface WriteCase {
  readonly name: string;
  readonly requests: readonly {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly file: string;
    /** `204`, `4xx`, `any` or one status. */
    readonly spec_status: string;
  }[];
  readonly prometheus: {
    readonly responses: readonly { readonly status: number; readonly headers: Readonly<Record<string, string>> }[];
    readonly queries: Readonly<Record<string, { readonly status: number; readonly json: unknown }>>;
  };
}

const WRITTEN = 'x-prometheus-remote-write-';

describe('remote write as the specification allows', { skip: skipWithoutConformance }, () => {
  let server: Pallium;
  const dataDir = tempFolder('remote-write');
  const cases = skipWithoutConformance ? [] : readCases<WriteCase>('remotewrite.jsonl');
  const differing = new Map<string, string>();
  before(async () => {
    server = await Pallium.start({ dataDir });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(dataDir, { recursive: true });
  });

  test('every case', async () => {
    const against: string[] = [];
    for (const each of cases) {
      const { spec, same } = await replay(server.url, each);
      against.push(...spec.map((why) => `${each.name}: ${why}`));
      if (same.length > 0) differing.set(each.name, same.join('\n    '));
    }
    const equal = cases.length - differing.size;
    console.log(
      `remotewrite.jsonl: ${cases.length} cases, ${against.length} answers against the specification, ${equal} exactly as Prometheus`,
    );
    const wrong = unexplained('remotewrite.jsonl', writeDifferences, differing);
    assert.deepEqual(against, [], 'statuses that the specification does not allow');
    assert.deepEqual(wrong, [], 'cases that differ from Prometheus and are not meant to');
  });

  test('what was equal is equal after a flush and a restart', async () => {
    await server.flush();
    await server.stop();
    server = await Pallium.start({ dataDir });
    const wrong: string[] = [];
    for (const each of cases) {
      if (differing.has(each.name)) continue;
      // metadata and exemplars are in the checkpoint
      for (const why of await queries(server.url, each)) wrong.push(`${each.name}: ${why}`);
    }
    assert.deepEqual(wrong, []);
  });
});

/** Each case is a tenant of its own, since they use the same names of series. */
function tenantOf(each: WriteCase): Record<string, string> {
  return { 'x-scope-orgid': each.name.replaceAll(/[^A-Za-z0-9_-]/g, '-') };
}

async function replay(url: string, each: WriteCase): Promise<{ spec: string[]; same: string[] }> {
  const tenant = tenantOf(each);
  const spec: string[] = [];
  const same: string[] = [];
  for (const [i, { method, headers, file, spec_status }] of each.requests.entries()) {
    const body = readFileSync(join(conformanceFolder, 'vectors', file));
    const answer = await sendRaw(url, method, '/api/v1/push', { ...headers, ...tenant }, body);
    const text = answer.body.toString('utf8').slice(0, 200);
    if (!allowed(spec_status, answer.status)) {
      spec.push(`request ${i + 1}: ${spec_status} by the specification, there is ${answer.status} ${text}`);
    }
    const want = each.prometheus.responses[i]!;
    if (want.status !== answer.status) {
      same.push(`request ${i + 1}: Prometheus ${want.status}, there is ${answer.status} ${text}`);
    }
    for (const what of ['samples-written', 'histograms-written', 'exemplars-written']) {
      const [a, b] = [Number(want.headers[WRITTEN + what] ?? 0), Number(answer.headers[WRITTEN + what] ?? 0)];
      if (a !== b) same.push(`request ${i + 1}: ${what} ${a}, there is ${b}`);
    }
  }
  same.push(...(await queries(url, each)));
  return { spec, same };
}

/** Which answers to its queries are not Prometheus'. */
async function queries(url: string, each: WriteCase): Promise<string[]> {
  const same: string[] = [];
  for (const [path, want] of Object.entries(each.prometheus.queries)) {
    const answer = await sendRaw(url, 'GET', path, tenantOf(each));
    const text = answer.body.toString('utf8');
    if (answer.status !== want.status) {
      same.push(`${path.slice(0, 80)}: status ${want.status}, there is ${answer.status} ${text.slice(0, 200)}`);
      continue;
    }
    const why = difference(sorted(want.json), sorted(shortened(JSON.parse(text))), { relative: 0, errors: true });
    if (why !== undefined) same.push(`${path.slice(0, 80)}: ${why}`);
  }
  return same;
}

function allowed(spec: string, status: number): boolean {
  const hundreds = Math.floor(status / 100);
  switch (spec) {
    case 'any':
      return hundreds === 2 || hundreds === 4;
    case '4xx':
      return hundreds === 4;
    case '204':
      return hundreds === 2;
    default:
      return String(status) === spec;
  }
}

/** Long texts as the recording has them. */
function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shortened(inner)]));
  }
  if (typeof value !== 'string' || [...value].length <= 5000) return value;
  return `<${[...value].length} characters, sha256 ${createHash('sha256').update(value).digest('hex')}>`;
}
