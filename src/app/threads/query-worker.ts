import { MessageChannel, type MessagePort, workerData } from 'node:worker_threads';
import { PromApi } from '../../api/backend.ts';
import { inflateReadRequest } from '../../api/remote-read.ts';
import type { ApiSources } from '../../api/sources.ts';
import { Documents } from '../../chunkstore/documents/documents.ts';
import { TenantTables } from '../../chunkstore/documents/tables.ts';
import { Generations } from '../../chunkstore/generations.ts';
import { openStore } from '../../chunkstore/open.ts';
import type { ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { IngesterClient } from '../../contract/ingester.ts';
import type { InstantRequest } from '../../contract/query.ts';
import { BoundedRunner } from '../../frontend/bounded-runner.ts';
import { FinishedDays } from '../../frontend/finished-days.ts';
import { Frontend, type FrontendOptions } from '../../frontend/frontend.ts';
import { cacheLimitsOf, ResultsCache } from '../../frontend/results-cache.ts';
import { SplitQueryable } from '../../frontend/split-queryable.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import { DirectReads } from '../../ingester/shard/direct-reads.ts';
import { KeptBudget } from '../../ingester/shard/kept-budget.ts';
import { ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardRole } from '../../ingester/shard/shard-messages.ts';
import { currentTrace, withTrace } from '../../kit/observe/trace.ts';
import { Channel, Transferred } from '../../kit/thread/channel.ts';
import { IdleCollector } from '../../kit/thread/idle-collector.ts';
import { Link } from '../../kit/thread/link.ts';
import { movable } from '../../kit/thread/movable.ts';
import { sendParts } from '../../kit/thread/part-stream.ts';
import { threadPriority } from '../../kit/thread/thread-priority.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { systemBytes, systemRandom } from '../../lib/random.ts';
import { inTurns } from '../../lib/turns.ts';
import { oldestOfRequest } from '../../limits/allowed-past.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { LimitedBudget } from '../../limits/query-budget.ts';
import { type JoinedLimits, joinedLimits } from '../../limits/query-limits.ts';
import { AppError } from '../../model/errors.ts';
import { processErrors } from '../../model/errors-process.ts';
import { tenantsOf } from '../../model/tenants.ts';
import { encodeOutcomes } from '../../peer/batch-wire.ts';
import { JobQueryable, runLookup } from '../../peer/job-lookups.ts';
import { type AskJob, JobRunner, runQuery } from '../../peer/job-runner.ts';
import { decodeRequest, encodeRequest } from '../../peer/job-shapes.ts';
import { type AskedFor, AskedMetrics, askedBy } from '../../querier/asked-metrics.ts';
import { SMALL_CHARS_MAX, SMALL_PATH } from '../../querier/direct/known-queries.ts';
import { isSmallExpr, windowMsMaxOf } from '../../querier/direct/small-expr.ts';
import { Hedges } from '../../querier/hedges.ts';
import { checkLanguage, languageOf } from '../../querier/language.ts';
import { Querier, querierEngine } from '../../querier/querier.ts';
import { ReplicatedIngesters } from '../../querier/replicated-ingesters.ts';
import { KernelRows } from '../../querier/row-kernel.ts';
import { decodingReadRequest } from '../../wire/remote-read.ts';
import { peersOfThread } from '../cluster/thread-peers.ts';
import { rulePreviewer } from '../rule-previewer.ts';
import { openBlockCache, openResultsCache, sharedRows } from './caches.ts';
import { answerOf } from './frontend-threads.ts';
import { countedRead } from './generation-reads.ts';
import type {
  HeadPorts,
  JobsRole,
  JobTurn,
  PartedHead,
  PartedJob,
  QueryRole,
  QueryWorkerData,
  SharedCachesRole,
} from './query-role.ts';
import { warmUp } from './warm-up.ts';

// Evaluates queries in a thread of its own: PromQL over the shards of this process and the store.

const {
  config,
  queryRange,
  purger,
  store,
  caches,
  windowMs,
  keepFlushedMs,
  cacheAgeMs,
  generationReads,
  peers,
  status,
} = workerData as QueryWorkerData;
const reads = new Int32Array(generationReads);
const engine = querierEngine(config, new KernelRows());
const language = languageOf(config);
const opened = openStore(store, systemClock);
const cache = openBlockCache(caches, systemClock);
const SLICE_MS = 10;
const WARM_UP_MS = 400;
/** Parts of a query in this thread: one is evaluated while another one's samples are fetched. */
const PARTS_AT_ONCE = 2;

const NO_TURN: JobTurn = { query: '', costMs: 0, priority: 0 };

const frontend: Omit<
  FrontendOptions,
  'querier' | 'over' | 'parallelMax' | 'retriesMax' | 'cacheLimits' | 'memory' | 'need' | 'ownSlots'
> = {
  parsed: engine.parsed,
  rules: { delayedNameRemoval: config.enablePromqlDelayedNameRemoval },
  splitIntervalMs: queryRange.splitQueriesByIntervalMs,
  shards: Number(queryRange.queryVerticalShardSize),
  lookbackMs: config.lookbackDeltaMs,
  alignToStep: queryRange.alignQueriesWithStep,
  cacheSamplesMin: queryRange.cacheSamplesMin,
  samplesMax: config.maxSamples,
  timeoutMs: config.timeoutMs,
  clock: systemClock,
  random: systemRandom,
  orderOfParts: systemRandom,
};

interface Connected {
  readonly querier: Querier;
  readonly generations: Generations;
  /** The cache of answers; undefined: there is none. */
  readonly results: ResultsCache | undefined;
  /** Sources that the API answers from, for a call with these limits. */
  sources(
    tenant: string,
    limits: JoinedLimits,
    turn?: JobTurn,
  ): ApiSources & {
    readonly workedMs: () => number | undefined;
    /** Where a querier of a version before look-ups was asked for one: its answer to all of the request; else undefined. */
    readonly askWhole: (request: ApiRequest, signal: AbortSignal) => Promise<ApiResponse> | undefined;
  };
}

/** The ways to the shards, in their order, and past them to their memory. */
const ways: { readonly link: Link<ShardRole>; readonly direct: DirectReads }[] = [];

/** A front end has none: its queriers ask for them. */
const NOTHING_RECENT: IngesterClient = {
  async *select() {},
  labels: async () => [],
  metadata: async () => [],
  headStats: async () => undefined,
  exemplars: async () => [],
};

/** The holders of recent samples. */
function headsOf(ports: HeadPorts): IngesterClient {
  if ('jobs' in ports) return NOTHING_RECENT;
  if ('ring' in ports) {
    if (peers === undefined) throw new Error('bug: a ring without the way to its members');
    const { ring, member, seek } = peersOfThread(peers, ports.ring);
    const hedges = new Hedges();
    return new ReplicatedIngesters({ ring, member, meet: (id) => ring.meet(id), seek, clock: systemClock, hedges });
  }
  return new ShardsClient(
    ports.shards.map(({ port, held }) => {
      const link = new Link(new Channel<ShardRole>(port));
      const range = new HeldRange(held);
      const direct = new DirectReads(range, { budget: keptSelects });
      ways.push({ link, direct });
      readDirectly(link, direct);
      return { channel: link, held: range, direct };
    }),
    true,
  );
}

/** Room for selects of all shards. */
const keptSelects = new KeptBudget();

function readDirectly(link: Link<ShardRole>, direct: DirectReads): void {
  // of a shard that is gone there is nothing to read
  direct.connect(link).catch(() => {});
}

async function connected(ports: HeadPorts, port: MessagePort): Promise<Connected> {
  const shared = new Channel<SharedCachesRole>(port);
  const ingester = headsOf(ports);
  const { schema } = await opened;
  const querier = new Querier({
    config,
    purger,
    engine,
    ingester,
    schema,
    blockCache: (await cache)?.blocks,
    rowCacheBytesMax: caches.chunkStore.rowCacheSize,
    rowsCache: sharedRows(shared),
    windowMs,
    keepFlushedMs,
    clock: systemClock,
    random: systemRandom,
    priority: threadPriority(),
  });
  const generations = new Generations(schema, systemClock, systemBytes);
  const cacheParts =
    cacheAgeMs === undefined
      ? undefined
      : {
          cache: await openResultsCache({ queryRange, caches }, shared, systemClock),
          generations: (tenant: string, signal: AbortSignal) =>
            countedRead(reads, tenant, () => generations.of(tenant, signal)),
          flags: JSON.stringify(language),
          intervalMs: queryRange.splitQueriesByIntervalMs,
          clock: systemClock,
        };
  const answers = cacheParts && new ResultsCache(cacheParts);
  const finishedDays = cacheParts && new FinishedDays({ ...cacheParts, note: (had) => answers?.note(had) });
  const jobs = 'jobs' in ports ? new Channel<JobsRole>(ports.jobs) : undefined;
  const headStats: ApiSources['status']['headStats'] = (tenant, limit, signal) =>
    ingester.headStats(tenant, limit, signal);
  return {
    querier,
    generations,
    results: answers,
    sources: (tenant, limits, turn = NO_TURN) => {
      const oldestMs = oldestOfRequest(limits, systemClock.nowMs());
      const { over, ...sources } = querier.sources(tenant, limits, oldestMs);
      const memory = () => new LimitedBudget(limits, sources.memory);
      let workedMs = 0;
      const ask: AskJob | undefined =
        jobs &&
        (async (name, payload, signal) => {
          const leftMs = systemClock.monotonicMs();
          const answer = await jobs.call('ask', { ...turn, tenant: name, payload, trace: currentTrace() }, { signal });
          workedMs += answer.head.workedMs;
          return { ...answer, tookMs: systemClock.monotonicMs() - leftMs };
        });
      let isUnknown = false;
      const askLookup: AskJob | undefined =
        ask &&
        ((name, payload, signal) =>
          ask(name, payload, signal).catch((thrown: unknown) => {
            isUnknown ||= thrown instanceof AppError && thrown.facts.id === 'peer-message-invalid';
            throw thrown;
          }));
      const elsewhere = ask && new JobRunner(ask, { lookbackMs: config.lookbackDeltaMs, language, oldestMs });
      // jobs are asked for again where they are left
      const retriesMax = elsewhere ? 0 : queryRange.maxRetries;
      const parallelMax = Math.min(elsewhere ? Number.POSITIVE_INFINITY : PARTS_AT_ONCE, limits.maxQueryParallelism);
      const retries = { retriesMax, clock: systemClock, random: systemRandom };
      const lookups = { intervalMs: queryRange.splitQueriesByIntervalMs, parallelMax, ...retries };
      const queryable = (name: string) =>
        new SplitQueryable(
          askLookup === undefined ? sources.queryable(name) : new JobQueryable(name, askLookup, systemClock, oldestMs),
          lookups,
        );
      const cached = cacheLimitsOf(limits, cacheAgeMs ?? 0);
      const queries = new Frontend({
        ...frontend,
        retriesMax,
        parallelMax,
        over,
        querier: new BoundedRunner(elsewhere ?? sources.queries, parallelMax),
        cache: answers,
        cacheLimits: cached,
        need: { sizesOf: sources.sizes, headSizesOf: sources.headSizes, limits },
        // queriers elsewhere each fetch what their shards read
        ...(elsewhere && { ownSlots: sources.ownSlots }),
        ...(limits.maxQueryLengthMs > 0 && { windowMsMax: limits.maxQueryLengthMs }),
        memory,
      });
      return {
        ...sources,
        queries,
        queryable,
        // generations are those of one tenant
        ...(finishedDays === undefined || tenantsOf(tenant).length > 1
          ? {}
          : { keptDay: finishedDays.ofTenant(tenant, cached) }),
        workedMs: () => (ask === undefined ? undefined : workedMs),
        askWhole: (request, signal) => (ask && isUnknown ? askAsItIs(ask, request, signal) : undefined),
        previewer: rulePreviewer({ ...sources, queries, over, memory }),
        status: { ...status, headStats },
      };
    },
  };
}

/** As front ends asked before there were look-ups. */
async function askAsItIs(ask: AskJob, request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
  const payload = encodeRequest({ kind: 'api', request: { ...request, takesParts: false } });
  const { head, bytes } = await ask(request.tenant, payload, signal);
  return { ...answerOf(head.api), body: bytes };
}

const asked = new AskedMetrics(frontend.parsed);

/** Metrics that a request of the API asks for, by its query or its selectors. */
async function askedFor({ path, params, body, asker }: ApiRequest, signal: AbortSignal): Promise<AskedFor | undefined> {
  const turns = new Pacer(systemClock, { sliceMs: SLICE_MS, signal });
  const given = (wanted: string) => params.flatMap(([name, value]) => (name === wanted ? [value] : []));
  if (QUERYING.test(path)) return asked.of(given('query')[0] ?? '', turns);
  // what this process looks up for itself is asked for by nobody
  if (asker === undefined) return undefined;
  if (path === '/api/v1/read' && body !== undefined) {
    const { queries } = await inTurns(decodingReadRequest(inflateReadRequest(body)), turns);
    return askedBy(queries.map(({ matchers }) => matchers));
  }
  if (!SELECTING.test(path)) return undefined;
  return asked.ofAll(given('match[]').slice(0, SELECTORS_MAX), turns);
}

/** Whether the thread of its connection may evaluate it the next time. */
async function isSmallQuery({ path, params }: ApiRequest, signal: AbortSignal): Promise<boolean> {
  const text = params.find(([name]) => name === 'query')?.[1] ?? '';
  if (path !== SMALL_PATH || text.length > SMALL_CHARS_MAX) return false;
  // it was parsed a moment ago
  const expr = await frontend.parsed.of(text, new Pacer(systemClock, { sliceMs: SLICE_MS, signal }));
  return isSmallExpr(expr, windowMsMaxOf(queryRange.splitQueriesByIntervalMs));
}

const QUERYING = /^\/api\/v1\/query(_range|_exemplars)?$/;
/** Look-ups by `match[]`. */
const SELECTING = /^(\/api\/v1\/(series|labels|label\/[^/]*\/values)|\/federate)$/;
const SELECTORS_MAX = 10;

function askedByRules(requests: readonly InstantRequest[], signal: AbortSignal) {
  const exprs = requests.map(({ expr }) => expr);
  return asked.ofAll(exprs, new Pacer(systemClock, { sliceMs: SLICE_MS, signal }));
}

const garbage = new IdleCollector(systemClock);
let connection: Promise<Connected> | undefined;

/** Runs a query, and says how the cache did meanwhile. */
async function worked<Answer>(run: (connected: Connected) => Promise<Answer>) {
  if (connection === undefined) throw new Error('bug: a query before connect');
  garbage.begin();
  try {
    const own = await connection;
    const startedMs = systemClock.monotonicMs();
    const answer = await run(own);
    const workedMs = systemClock.monotonicMs() - startedMs;
    return { answer, cache: (await cache)?.takeStats(), results: own.results?.takeStats(), workedMs };
  } finally {
    garbage.end();
  }
}

/** An answer that another querier may better is an error for whoever asks. @throws AppError */
function throwFailure(status: number, body: Uint8Array): void {
  if (status < 500) return;
  let said: { readonly errorType?: unknown; readonly error?: unknown } = {};
  try {
    said = JSON.parse(Buffer.from(body).toString());
  } catch {
    // a text
  }
  const promType = said.errorType === 'timeout' || said.errorType === 'internal' ? said.errorType : 'unavailable';
  const text = typeof said.error === 'string' ? said.error : Buffer.from(body).toString().trim();
  throw new AppError({ id: 'querier-failed', http: status, promType, retry: true }, text);
}

const role: QueryRole = {
  async connect({ heads, shared }) {
    connection = connected(heads, shared);
    const { querier, sources } = await connection;
    // queriers elsewhere are warm by themselves
    if ('jobs' in heads) return;
    // slower at first is all that comes of it when this fails
    await warmUp(
      sources(
        '',
        joinedLimits('', () => DEFAULT_LIMITS),
      ),
      { engine, turns: querier.turns, timeoutMs: config.timeoutMs, clock: systemClock },
      WARM_UP_MS,
    ).catch((error: Error) => process.stderr.write(`${error.message}\n`));
    garbage.collect();
  },
  async reconnect({ shard, connection: { port } }) {
    await connection;
    const reason = processErrors.workerGone({ worker: `shard-${shard}`, reason: 'it was started again' });
    const { link, direct } = ways[shard]!;
    link.replace(new Channel<ShardRole>(port), reason);
    readDirectly(link, direct);
    // the memory of the one before goes when nobody holds it
    garbage.collect();
  },
  async handle({ request, limits, turn }, { signal, begin }) {
    let elsewhereMs: number | undefined;
    const { answer, ...how } = await worked(async ({ sources }) => {
      const from = sources(request.tenant, limits, turn);
      const api = new PromApi(from);
      const own = await withTrace(request.trace, () => api.handle(request, signal));
      const asked = from.askWhole(request, signal);
      const [whole] = asked ? await Promise.all([asked, own.parts?.[Symbol.asyncIterator]().return?.()]) : [];
      const { parts, ...response } = whole ?? own;
      elsewhereMs = from.workedMs();
      const body = movable(response.body);
      if (parts === undefined) return { ...response, body };
      const metrics = response.status === 200 ? await askedFor(request, signal) : undefined;
      const { port1, port2 } = new MessageChannel();
      const head: PartedHead = { answer: { ...response, body }, metrics, parts: port2 };
      begin(head, [body.buffer, port2]);
      await sendParts(port1, parts, signal);
      return { ...response, body: new Uint8Array(0) };
    });
    const metrics = answer.status === 200 ? await askedFor(request, signal) : undefined;
    const workedMs = elsewhereMs ?? how.workedMs;
    const isSmall = answer.status === 200 && (await isSmallQuery(request, signal));
    return Transferred.of({ answer, ...how, workedMs, metrics, isSmall }, [answer.body.buffer]);
  },
  instant: ({ tenant, request, limits }, { signal }) =>
    worked(({ sources }) => sources(tenant, limits).queries.instant(tenant, request, { signal })),
  range: ({ tenant, request, limits }, { signal }) =>
    worked(({ sources }) => sources(tenant, limits).queries.range(tenant, request, { signal })),
  partial: ({ tenant, request, limits }, { signal }) =>
    worked(({ sources }) => sources(tenant, limits).queries.partial(tenant, request, { signal })),
  async instants({ tenant, request, limits }, { signal }) {
    const done = await worked(({ querier }) => querier.instants(tenant, request, limits, { signal }));
    return { ...done, metrics: await askedByRules(request, signal) };
  },
  async job({ tenant, payload, limits, inParts }, { signal, begin }) {
    const request = decodeRequest(payload);
    let metrics: AskedFor | undefined;
    const { answer, ...how } = await worked(async (own) => {
      const startedMs = systemClock.monotonicMs();
      const workedMs = () => systemClock.monotonicMs() - startedMs;
      if (request.kind === 'query') {
        checkLanguage(language, request.language ?? {});
        const { queries } = own.querier.sources(tenant, limits, request.oldestMs);
        const bytes = await withTrace(request.trace, () => runQuery(queries, tenant, request, { signal }));
        return { head: { workedMs: workedMs() }, bytes };
      }
      if (request.kind === 'lookup') {
        const { queryable, memory, clock } = own.querier.sources(tenant, limits, request.oldestMs);
        const budget = new LimitedBudget(limits, memory, request.used);
        const sources = { queryable: queryable(tenant), budget, clock };
        try {
          const bytes = await withTrace(request.trace, () => runLookup(sources, request, signal));
          return { head: { workedMs: workedMs() }, bytes: movable(bytes) };
        } finally {
          budget.close();
        }
      }
      if (request.kind === 'rules') {
        const { requests } = request;
        const bytes = encodeOutcomes(await own.querier.instants(tenant, requests, limits, { signal }));
        metrics = await askedByRules(requests, signal);
        return { head: { workedMs: workedMs() }, bytes };
      }
      const asked = request.request;
      if (asked.tenant !== tenant) throw new Error('bug: a request of another tenant than its job');
      const { parts, body, ...api } = await withTrace(asked.trace, () =>
        new PromApi(own.sources(tenant, limits)).handle(asked, signal),
      );
      throwFailure(api.status, body);
      const answered = { head: { workedMs: workedMs(), api }, bytes: movable(body) };
      if (parts === undefined || !inParts) return answered;
      const { port1, port2 } = new MessageChannel();
      begin({ ...answered, parts: port2 } satisfies PartedJob, [answered.bytes.buffer, port2]);
      await sendParts(port1, parts, signal);
      return { ...answered, bytes: new Uint8Array(0) };
    });
    return Transferred.of({ answer, ...how, metrics }, [answer.bytes.buffer]);
  },
  async documentTenants({ kind }, { signal }) {
    const documents = new Documents(await TenantTables.open((await opened).schema, signal), systemClock, systemBytes);
    return (await documents.tenants(kind, signal)).map(({ tenant }) => tenant);
  },
  async moveDays({ tenant, fromMs, toMs }) {
    if (connection === undefined) throw new Error('bug: a change before connect');
    await (await connection).generations.move(tenant, fromMs, toMs);
  },
  async deleteTenant({ tenant }, { signal }) {
    if (connection === undefined) throw new Error('bug: a deletion before connect');
    return (await connection).querier.deleteTenant(tenant, signal);
  },
  async tenantDeletion({ tenant }, { signal }) {
    if (connection === undefined) throw new Error('bug: a deletion before connect');
    return (await connection).querier.tenantDeletion(tenant, signal);
  },
};
serveWorker(role);
