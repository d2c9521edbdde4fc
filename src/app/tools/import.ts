import { createReadStream } from 'node:fs';
import { text } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import type { Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import type { MetricMetadata } from '../../model/metric-metadata.ts';
import { labelsFault, sortPairs } from '../../model/validate.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { encodeRemoteWrite2 } from '../../wire/remote-write-encode.ts';
import { deflateSnappy } from '../../wire/snappy.ts';
import { type WriteExemplar, WriteSamples } from '../../wire/write-request.ts';
import { importBlocks } from './blocks/import-blocks.ts';
import { readOpenMetrics } from './open-metrics-stream.ts';
import { print } from './output.ts';
import { ANY_LENGTH, BATCH_SAMPLES_MAX, DeletedSamples, StoreBatch, type StoreBatchOptions } from './store-batch.ts';
import { beginStoreImport } from './store-import.ts';
import { DONE, FAILED, tool, UsageError } from './tool.ts';

const REQUEST_SAMPLES_MAX = 10_000;
const TRIES_MAX = 6;
const RETRY_MS = 500;

export const importTool = tool({
  summary: 'Read OpenMetrics text or Prometheus blocks into the store, or send text to a server.',
  description: [
    'Without -url the samples go straight into the store, whatever their age, in batches of a million samples, each its own',
    'generation of the windows that it touches; a day-merge joins them. A server that runs beside it sees them within ten',
    'minutes at the latest. With -url they go to a server by remote write 2.0, which refuses what is too old for it.',
    'Samples without a time get the time of the import. Doing it twice is harmless. Exemplars go to a server with their samples;',
    'the store keeps none.',
    'Samples that a delete request covers are refused until it is forgotten, as a server refuses them.',
    'With -blocks they come from a block of Prometheus, or from all blocks of its data folder; what it has not compacted',
    'into a block yet is in none: a snapshot has it. A block with damage ends the import, and is named.',
  ].join('\n'),
  options: section('', 'import', {
    tenant: text({ default: 'anonymous', help: 'Whose samples they become.' }),
    file: text({ default: '-', help: 'Where from; - is standard input.' }),
    blocks: text({ help: 'Folder of a Prometheus block, or of several, in place of -file.' }),
    url: text({ help: 'Server to write to, like http://127.0.0.1:9009/api/v1/push. Empty: straight into the store.' }),
  }),
  async run({ options, openStore, windowMs, clock, input, output, progress, signal }) {
    const { tenant, url, blocks } = options;
    const changes = { done: async () => {} };
    const storeOptions = async (): Promise<StoreBatchOptions> => {
      const { schema } = await openStore({ make: true });
      const begun = await beginStoreImport(schema, { tenant, windowMs, clock, signal });
      changes.done = begun.done;
      return begun.options;
    };
    const sayDeleted = ({ samples }: DeletedSamples) => {
      if (samples > 0) progress.say(`refused: ${samples} samples (deleted): a delete request that is kept covers them`);
    };
    if (blocks !== '') {
      if (url !== '' || options.file !== '-')
        throw new UsageError('-blocks goes straight into the store, without -url and -file');
      const own = await storeOptions();
      const batch = new StoreBatch(own);
      const { samples, blocks: count, refused } = await importBlocks({ folder: blocks, batch, progress, signal });
      await changes.done();
      await print(output, `${samples - own.deleted.samples} samples of ${count} blocks imported\n`);
      for (const [id, series] of refused) progress.say(`refused: ${series} series (${id})`);
      sayDeleted(own.deleted);
      return refused.size === 0 && own.deleted.samples === 0 ? DONE : FAILED;
    }
    const own = url === '' ? await storeOptions() : undefined;
    const deleted = own?.deleted ?? new DeletedSamples([]);
    const sink = own === undefined ? new RemoteSink(url, tenant, clock, signal) : new StoreSink(own);
    const nowMs = clock.nowMs();
    const totals = { samples: 0, exemplars: 0, refused: 0 };
    const refusals = new Map<string, number>();
    let batch = new Batch();
    const bytes = options.file === '-' ? input : createReadStream(options.file, { highWaterMark: 1 << 20 });
    for await (const entry of readOpenMetrics(bytes as AsyncIterable<Uint8Array>)) {
      signal.throwIfAborted();
      if (entry.kind === 'type' || entry.kind === 'help' || entry.kind === 'unit') {
        batch.describe(entry.metric, entry.kind, entry.text);
      } else if (entry.kind === 'series') {
        const pairs = sortPairs(entry.pairs);
        const fault = labelsFault(pairs, ANY_LENGTH);
        if (fault !== undefined) {
          totals.refused++;
          refusals.set(fault.facts.id, (refusals.get(fault.facts.id) ?? 0) + 1);
          continue;
        }
        const timeMs = entry.timeMs ?? nowMs;
        const { exemplar } = entry;
        batch.add(pairs, {
          timeMs,
          value: entry.value,
          startMs: entry.startMs ?? 0,
          exemplar: exemplar && { ...exemplar, labelsFault: undefined, timeMs: exemplar.timeMs ?? timeMs },
        });
        totals.samples++;
        if (exemplar !== undefined) totals.exemplars++;
        if (batch.samples < BATCH_SAMPLES_MAX) continue;
        await sink.write(batch);
        batch = new Batch();
      }
      progress.at(() => `${totals.samples} samples`);
    }
    await sink.write(batch);
    await changes.done();
    await print(output, `${totals.samples - deleted.samples} samples imported\n`);
    if (totals.exemplars > 0 && url === '')
      progress.say(`${totals.exemplars} exemplars left out: the store keeps none`);
    for (const [id, count] of refusals) progress.say(`refused: ${count} samples (${id})`);
    sayDeleted(deleted);
    return totals.refused === 0 && deleted.samples === 0 ? DONE : FAILED;
  },
});

interface Sample {
  readonly timeMs: number;
  readonly value: number;
  readonly startMs: number;
  readonly exemplar?: WriteExemplar | undefined;
}

/** Series and metadata that are read and not written yet. */
class Batch {
  readonly series = new Map<string, { readonly pairs: readonly string[]; readonly samples: Sample[] }>();
  readonly metadata = new Map<string, { metric: string; type: string; help: string; unit: string }>();
  samples = 0;

  describe(metric: string, kind: 'type' | 'help' | 'unit', text: string): void {
    getOrMake(this.metadata, metric, () => ({ metric, type: 'unknown', help: '', unit: '' }))[kind] = text;
  }

  add(pairs: readonly string[], sample: Sample): void {
    getOrMake(this.series, JSON.stringify(pairs), () => ({ pairs, samples: [] })).samples.push(sample);
    this.samples++;
  }
}

interface Sink {
  write(batch: Batch): Promise<void>;
}

/** Writes groups as a flush does. */
class StoreSink implements Sink {
  readonly #options: StoreBatchOptions;

  constructor(options: StoreBatchOptions) {
    this.#options = options;
  }

  async write(batch: Batch): Promise<void> {
    if (batch.samples === 0) return;
    const { writer, tenant, signal } = this.#options;
    const groups = new StoreBatch(this.#options);
    const columns = new SampleColumns();
    for (const { pairs, samples } of batch.series.values()) {
      columns.clear();
      for (const { timeMs, value, startMs } of inOrder(samples)) {
        columns.pushFloat(timeMs, value);
        if (startMs !== 0) columns.setStart(startMs);
      }
      groups.add(encodeLabels(Labels.fromSortedPairs(pairs)), columns);
    }
    const { days } = groups;
    await groups.write(batch.series.size);
    const metadata: MetricMetadata[] = [...batch.metadata.values()];
    if (metadata.length > 0) for (const dayMs of days) await writer.writeMetadata(tenant, dayMs, metadata, signal);
  }
}

/** Ascending by time; of one time the last that was read. */
function inOrder(samples: readonly Sample[]): Sample[] {
  const sorted = [...samples].sort((a, b) => a.timeMs - b.timeMs);
  return sorted.filter(({ timeMs }, i) => sorted[i + 1]?.timeMs !== timeMs);
}

/** Sends remote write 2.0. */
class RemoteSink implements Sink {
  readonly #url: string;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor(url: string, tenant: string, clock: Clock, signal: AbortSignal) {
    this.#url = url;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#signal = signal;
  }

  async write(batch: Batch): Promise<void> {
    let request: { pairs: readonly string[]; samples: Sample[] }[] = [];
    let size = 0;
    const metadata = [...batch.metadata.values()];
    const send = async () => {
      if (size === 0) return;
      const series = request.map(({ pairs, samples }) => ({
        pairs,
        labelsFault: undefined,
        samples: WriteSamples.of(samples),
        histograms: [],
        exemplars: samples.flatMap(({ exemplar }) => exemplar ?? []),
      }));
      await this.#post(deflateSnappy(encodeRemoteWrite2({ series, metadata })));
      request = [];
      size = 0;
    };
    for (const { pairs, samples } of batch.series.values()) {
      const sorted = inOrder(samples);
      for (let from = 0; from < sorted.length; from += REQUEST_SAMPLES_MAX) {
        const part = sorted.slice(from, from + REQUEST_SAMPLES_MAX);
        if (size + part.length > REQUEST_SAMPLES_MAX) await send();
        request.push({ pairs, samples: part });
        size += part.length;
      }
    }
    await send();
  }

  async #post(body: Uint8Array): Promise<void> {
    for (let tries = 1; ; tries++) {
      let problem: string;
      try {
        const answer = await fetch(this.#url, {
          method: 'POST',
          body: body as Uint8Array<ArrayBuffer>,
          headers: {
            'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
            'content-encoding': 'snappy',
            'x-prometheus-remote-write-version': '2.0.0',
            'x-scope-orgid': this.#tenant,
          },
          signal: this.#signal,
        });
        const said = await answer.text();
        if (answer.ok) return;
        problem = `${this.#url} answers ${answer.status} ${said.trim().slice(0, 300)}`;
        if (answer.status < 500 && answer.status !== 429) throw new Refused(problem);
      } catch (thrown) {
        if (thrown instanceof Refused || this.#signal.aborted) throw thrown;
        problem = `${this.#url}: ${(thrown as Error).cause ?? (thrown as Error).message}`;
      }
      if (tries === TRIES_MAX) throw new Error(problem);
      await this.#clock.sleep(RETRY_MS * 2 ** (tries - 1), this.#signal);
    }
  }
}

/** The server will not take the samples, however often it is asked. */
class Refused extends Error {}
