import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.ts';
import type { ApiClient } from '../harness/api.ts';
import { sorted } from '../harness/compare.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

const { CASSANDRA_PORT, DYNAMODB_PORT, BIGTABLE_PORT, MOTO_PORT, S3_PORT } = process.env;

/** Of stores for rows → flags; undefined: not running. */
const TABLES: Readonly<Record<string, readonly string[] | undefined>> = {
  embedded: ['-schema.store=embedded'],
  cassandra: CASSANDRA_PORT
    ? [
        '-schema.store=cassandra',
        '-cassandra.addresses=127.0.0.1',
        `-cassandra.port=${CASSANDRA_PORT}`,
        '-cassandra.keyspace=end_to_end',
        '-cassandra.replication-factor=1',
      ]
    : undefined,
  dynamodb: DYNAMODB_PORT
    ? [
        '-schema.store=dynamodb',
        `-dynamodb.endpoint=http://127.0.0.1:${DYNAMODB_PORT}`,
        '-dynamodb.access-key-id=test',
        '-dynamodb.secret-access-key=test',
      ]
    : undefined,
  bigtable: BIGTABLE_PORT
    ? [
        '-schema.store=bigtable',
        '-bigtable.project=test',
        '-bigtable.instance=test',
        `-bigtable.emulator-host=127.0.0.1:${BIGTABLE_PORT}`,
      ]
    : undefined,
};

const s3Port = MOTO_PORT ?? S3_PORT;
const BUCKET = `end-to-end-${process.pid}`;

const OBJECTS: Readonly<Record<string, readonly string[] | undefined>> = {
  'objects inline': ['-schema.object-store=none'],
  S3: s3Port
    ? [
        '-schema.object-store=s3',
        `-s3.endpoint=127.0.0.1:${s3Port}`,
        `-s3.bucket-name=${BUCKET}`,
        '-s3.insecure',
        '-s3.force-path-style',
        '-s3.access-key-id=test',
        '-s3.secret-access-key=testsecret',
      ]
    : undefined,
};

/** Around midnight of a day, so that several windows and two days are written. */
const START_MS = Date.UTC(2026, 9, 1) - 3_600_000;
const STEPS = 480;
const STEP_MS = 15_000;
const END = (START_MS + STEPS * STEP_MS) / 1000;

const QUERIES = [
  'requests_total',
  'rate(requests_total[5m])',
  'sum by (code) (rate(requests_total[5m]))',
  'sum without (instance) (increase(requests_total[10m]))',
  'temperature{instance=~"host-[1-3]"}',
  'avg_over_time(temperature[15m])',
  'max_over_time(temperature[1h]) - min_over_time(temperature[1h])',
  'quantile by (job) (0.9, temperature)',
  'topk(3, temperature)',
  'histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[5m])))',
  'histogram_quantile(0.5, rate(latency_seconds_bucket[10m]))',
  'count by (job) ({__name__=~".+"})',
  '{instance="host-2"}',
  'requests_total / on (instance) group_left () temperature',
  'max_over_time(rate(requests_total[5m])[30m:1m])',
  'absent(nothing)',
];

async function load(url: string): Promise<void> {
  const random = seededRandom(3);
  const series: { labels: Record<string, string>; next: (step: number) => number }[] = [];
  for (let i = 0; i < 10; i++) {
    const of = { instance: `host-${i}`, job: `job-${i % 2}` };
    for (const code of ['200', '500']) {
      let count = 0;
      series.push({
        labels: { __name__: 'requests_total', code, ...of },
        next: (step) => {
          count = step % 300 === 299 ? 0 : count + Math.floor(random() * 9);
          return count;
        },
      });
    }
    series.push({ labels: { __name__: 'temperature', ...of }, next: () => random() * 30 - 5 });
    for (const [b, le] of ['0.1', '1', '+Inf'].entries()) {
      series.push({ labels: { __name__: 'latency_seconds_bucket', le, ...of }, next: (step) => step * (b + 1) });
    }
  }
  for (let from = 0; from < STEPS; from += 40) {
    const body = writeBody(
      series.map(({ labels, next }) => ({
        labels,
        samples: Array.from({ length: 40 }, (_, k) => [START_MS + (from + k) * STEP_MS, next(from + k)] as const),
      })),
    );
    const { status, text } = await push(`${url}/api/v1/push`, body);
    assert.equal(status, 204, text);
  }
}

/** Instant and range of each query, and what names there are. */
async function answers(api: ApiClient): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const query of QUERIES) {
    const range = { query, start: END - STEPS * 15, end: END, step: 60 };
    found.set(query, sorted({ data: await api.data('/api/v1/query', { query, time: END - 60 }) }));
    found.set(`range of ${query}`, sorted({ data: await api.data('/api/v1/query_range', range) }));
  }
  const span = { start: START_MS / 1000, end: END };
  for (const path of ['/api/v1/labels', '/api/v1/label/instance/values', '/api/v1/series']) {
    const params = path === '/api/v1/series' ? { ...span, 'match[]': '{__name__=~".+"}' } : span;
    found.set(path, sorted({ data: await api.data(path, params) }));
  }
  return found;
}

async function makeBucket(): Promise<void> {
  const { S3Client, CreateBucketCommand } = await import('@aws-sdk/client-s3');
  const service = new S3Client({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${s3Port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'testsecret' },
  });
  await service.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error: Error) => {
    if (!/AlreadyOwned|AlreadyExists/.test(error.name)) throw error;
  });
  service.destroy();
}

describe('written, flushed, started anew with an empty head: every answer is as before', () => {
  let i = 0;
  for (const [table, tableFlags] of Object.entries(TABLES)) {
    for (const [objects, objectFlags] of Object.entries(OBJECTS)) {
      const skip = tableFlags === undefined || objectFlags === undefined ? 'not running: see test/services/run' : false;
      const prefix = `e2e_${process.pid}_${i++}_`;
      test(`${table}, ${objects}`, { skip }, async () => {
        if (objects === 'S3') await makeBucket();
        const dataDir = tempFolder('stores');
        const flags = [...tableFlags!, ...objectFlags!, `-schema.prefix=${prefix}`];
        try {
          await using first = await Pallium.start({ dataDir, flags });
          await load(first.url);
          const before = await answers(first.api());
          await first.flush();
          assert.deepEqual(await answers(first.api()), before, 'from head and store together');
          assert.deepEqual(await first.stop(), { code: 0, signal: null }, first.logTail());
          const forget = ['-ingester.keep-flushed=1s', '-ingester.flush-check-interval=200ms'];
          await using second = await Pallium.start({ dataDir, flags: [...flags, ...forget] });
          await until('an empty head', async () => {
            const text = (await second.api().ask('/metrics')).text;
            const windows = [...text.matchAll(/^pallium_ingester_windows\{.*\} (\d+)/gm)];
            return windows.length > 0 && windows.every(([, count]) => count === '0');
          });
          assert.deepEqual(await answers(second.api()), before, 'from the store alone');
        } finally {
          rmSync(dataDir, { recursive: true, force: true });
          rmSync(`${dataDir}.log`, { force: true });
        }
      });
    }
  }
});
