import { readFile, stat } from 'node:fs/promises';
import { duration, text } from '../kit/config/field.ts';
import { ConfigError } from '../kit/config/problem.ts';
import { section } from '../kit/config/section.ts';
import type { Logger } from '../kit/observe/log.ts';
import { counter, gauge, metricTable, type Registry } from '../kit/observe/metrics.ts';
import type { Loop } from '../kit/service/loops.ts';
import type { Service } from '../kit/service/service.ts';
import { WorkerThread, workerUrl } from '../kit/thread/worker.ts';
import type { Clock } from '../lib/clock.ts';
import type { TenantLimits } from './limits.ts';
import { LimitsTable } from './limits-table.ts';
import { type Overrides, parseOverrides, unpackOverrides } from './overrides.ts';
import type { OverridesRole } from './overrides-worker.ts';

export const runtimeConfig = section('runtime_config', 'Runtime configuration', {
  file: text({
    flag: 'runtime-config.file',
    help: 'YAML file with limits of single tenants, read again when it changes.',
  }),
  reloadPeriodMs: duration({
    default: '10s',
    min: '1s',
    flag: 'runtime-config.reload-period',
    help: 'How often the file is looked at.',
  }),
});

const runtimeMetrics = metricTable({
  reloads: counter('runtime_config_reloads_total', 'Times the runtime file was read.', ['result']),
  valid: gauge('runtime_config_last_reload_successful', '1 while the runtime file in force is the one on disk.'),
});

/** A larger file is read in a thread: the limits of 10,000 tenants take a second or two. */
const THREAD_CHARS_MIN = 32 * 1024;

export interface LimitsOptions {
  readonly defaults: TenantLimits;
  readonly config: typeof runtimeConfig.type;
  readonly log: Logger;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Says what of a tenant's limits does nothing in this process, and is refused. */
  readonly refuses?: (limits: Partial<TenantLimits>) => string | undefined;
  /** Told of each look at the file. */
  readonly loop?: Loop | undefined;
}

/** The limits in force. Looks at the runtime file now and then; one that is wrong leaves the old limits as they are. */
export class LimitsService implements Service {
  readonly name = 'limits';
  readonly #options: LimitsOptions;
  readonly #metrics: ReturnType<typeof runtimeMetrics>;
  readonly #stopping = new AbortController();
  readonly #listeners: ((overrides: Overrides) => void)[] = [];
  readonly #table: LimitsTable;
  /** Size and time of the file that was read last; unequal means read again. */
  #seen = '';
  #watching: Promise<void> | undefined;

  private constructor(options: LimitsOptions) {
    this.#options = options;
    this.#table = new LimitsTable(options.defaults);
    this.#metrics = runtimeMetrics(options.registry);
  }

  static of(options: LimitsOptions): LimitsService {
    return new LimitsService(options);
  }

  of(tenant: string): TenantLimits {
    return this.#table.of(tenant);
  }

  /** Limits as the section `limits` sets them. */
  get defaults(): TenantLimits {
    return this.#table.defaults;
  }

  setDefaults(defaults: TenantLimits): void {
    this.#table.set(defaults, this.overrides);
  }

  /** Limits of all tenants that have no overrides of their own. */
  get others(): TenantLimits {
    return this.#table.others;
  }

  get overrides(): Overrides {
    return this.#table.overrides;
  }

  /** Called whenever the overrides change: to hand them to worker threads. */
  onChange(listener: (overrides: Overrides) => void): void {
    this.#listeners.push(listener);
  }

  /** @throws ConfigError where the file is wrong from the start: then nothing is running yet that could go on */
  async start(): Promise<void> {
    if (this.#options.config.file === '') return;
    await this.#load();
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#watching;
  }

  /** Reads the runtime file now, whether it has changed or not. @throws what is wrong with it: the limits in force stay */
  async reload(): Promise<void> {
    if (this.#options.config.file === '') return;
    this.#seen = '';
    try {
      await this.#load();
    } catch (err) {
      this.#metrics.reloads.inc({ result: 'failure' });
      this.#metrics.valid.set(0);
      throw err;
    }
  }

  async #watch(): Promise<void> {
    const { clock, config, log, loop } = this.#options;
    const { signal } = this.#stopping;
    while (
      await clock.sleep(config.reloadPeriodMs, signal).then(
        () => true,
        () => false,
      )
    ) {
      try {
        await (loop === undefined ? this.#load() : loop.run(() => this.#load()));
      } catch (err) {
        this.#metrics.reloads.inc({ result: 'failure' });
        this.#metrics.valid.set(0);
        log.error({ file: config.file, err }, 'the runtime file is wrong; the limits stay as they were');
      }
    }
  }

  /** @throws ConfigError */
  #check(overrides: Overrides): void {
    const { config, refuses } = this.#options;
    if (refuses === undefined) return;
    const problems = [...overrides].flatMap(([tenant, own]) => {
      const refused = refuses(own);
      return refused === undefined ? [] : [`${config.file}: ${tenant}: ${refused}`];
    });
    if (problems.length > 0) throw new ConfigError(problems);
  }

  async #load(): Promise<void> {
    const { config, log } = this.#options;
    const { size, mtimeMs, ino } = await stat(config.file);
    const seen = `${size} ${mtimeMs} ${ino}`;
    if (seen === this.#seen) return;
    this.#seen = seen; // also where it is wrong: once is enough to say so
    const overrides = await read(await readFile(config.file, 'utf8'), config.file);
    this.#check(overrides);
    this.#table.set(this.defaults, overrides);
    this.#metrics.reloads.inc({ result: 'success' });
    this.#metrics.valid.set(1);
    log.info({ file: config.file, tenants: overrides.size }, 'runtime file loaded');
    for (const listener of this.#listeners) listener(overrides);
  }
}

/** @throws ConfigError */
async function read(source: string, file: string): Promise<Overrides> {
  if (source.length < THREAD_CHARS_MIN) return parseOverrides(source, file);
  const thread = WorkerThread.start<OverridesRole>({
    name: 'overrides',
    url: workerUrl('./overrides-worker', import.meta.url),
  });
  try {
    const answer = await thread.channel.call('parse', { source, file });
    if ('problems' in answer) throw new ConfigError(answer.problems);
    return unpackOverrides(answer.overrides);
  } finally {
    await thread.terminate();
  }
}
