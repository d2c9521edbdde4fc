import { fileURLToPath } from 'node:url';
import { loadConfig } from '../kit/config/load.ts';
import { ConfigError } from '../kit/config/problem.ts';
import { showHelp } from '../kit/config/show.ts';
import { createLogger, type Logger } from '../kit/observe/log.ts';
import { StartError } from '../kit/service/service.ts';
import { RestCollector } from '../kit/thread/rest-collector.ts';
import { systemClock } from '../lib/clock.ts';
import { maskSecrets } from '../lib/mask.ts';
import { isClustered } from './cluster/clustered.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { modules, resolveTargets } from './modules/modules.ts';
import { reload } from './reload.ts';
import { readVersion } from './version.ts';

/** Exit codes: 0 ended as asked, 1 did not start or failed, 2 the command line or configuration is wrong, 75 is to be started again. */
const FAILED = 1;
const MISUSED = 2;
const IGNORED_SIGNALS = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGQUIT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGIO',
  'SIGPWR',
  'SIGSTKFLT',
] as const;
const SAME_ASKING_MS = 500;
/** Time that a service has to end its start when the process is told to stop. */
const START_ENDS_MS = 2_000;

/**
 * The process: reads its configuration, runs until it is told to end.
 * @param onSignals called when it waits for signals itself, so that none is lost in between
 */
export async function main(args: readonly string[], onSignals: () => void = () => {}): Promise<void> {
  const [command] = args;
  if (command !== undefined && !command.startsWith('-')) {
    onSignals(); // a tool may be ended like any command
    const { runTool } = await import('./tools/run.ts');
    process.exitCode = await runTool(command, args.slice(1));
    return;
  }
  const version = readVersion();
  let loaded: ReturnType<typeof loadConfig<typeof sections>>;
  let order: string[];
  try {
    loaded = loadConfig(sections, { args, env: process.env });
    const { command } = loaded;
    if (command.help) {
      const { toolList } = await import('./tools/run.ts');
      return print(`${showHelp(sections, 'pallium')}Commands, each with its own --help:\n${toolList()}`);
    }
    if (command.version) return print(`pallium ${version} (node ${process.version})`);
    if (command.modules) return print(targetList());
    order = resolveTargets(loaded.values.process.target, modules, isClustered(loaded.values));
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    for (const problem of thrown.problems) process.stderr.write(`pallium: ${maskSecrets(problem)}\n`);
    process.exitCode = MISUSED;
    return;
  }

  const config = loaded.values;
  const log = createLogger(config.log);
  const stopAsked = Promise.withResolvers<string>();
  const onSignal = (signal: string) => stopAsked.resolve(signal);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, onSignal);
  onSignals();
  process.on('disconnect', () => onSignal('end of the launcher'));
  // what would end the process, or open a debugger for everybody on the machine, is not asked for by a signal
  for (const signal of IGNORED_SIGNALS) process.on(signal, () => {});
  let reloading = async () => {};
  process.on('SIGHUP', () => void reloading());
  watchForBugs(log);

  try {
    const readConfig = () => loadConfig(sections, { args, env: process.env }).values;
    const app = await composeApp({ config, readConfig, version, order, log, clock: systemClock });
    const { services } = app;
    reloading = async () => void (await reload(app));
    log.info({ version, node: process.version, target: config.process.target.join(',') }, 'starting');
    const started = services.start();
    // a signal while starting ends what has started so far
    const early = await Promise.race([started.then(() => undefined), stopAsked.promise]);
    if (early === undefined)
      log.info({ url: app.http.url, tookMs: systemClock.nowMs() - app.startTimeMs }, 'ready for requests');
    const resting = new RestCollector().start(systemClock);
    const reason = early ?? (await stopAsked.promise);
    resting.cancel();
    const { drainOnShutdown, drainTimeoutMs } = config.ingester;
    const deadlineMs = config.server.shutdownTimeoutMs + (drainOnShutdown ? drainTimeoutMs : 0);
    log.info({ reason, deadlineMs }, 'stopping');
    const stoppingMs = systemClock.monotonicMs();
    process.on('SIGINT', () => {
      // asked twice: at once. A terminal's one comes to the launcher too, which hands it on
      if (systemClock.monotonicMs() - stoppingMs > SAME_ASKING_MS) process.exit(FAILED);
    });
    await services.stop(deadlineMs);
    // what does not heed the end of the start does not keep the process from ending
    await Promise.race([started.catch(() => {}), systemClock.sleep(START_ENDS_MS)]);
    const failed = services.states.filter(([, state]) => state === 'failed').map(([name]) => name);
    log.info({ failed: failed.join(',') || undefined }, 'stopped');
    process.exit(failed.length === 0 ? (process.exitCode ?? 0) : FAILED);
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    if (!(thrown instanceof StartError)) log.debug({ err: thrown }, 'not started');
    process.stderr.write(`pallium: ${maskSecrets(text)}\n`);
    process.exit(FAILED);
  }
}

/** A bug that nobody caught leaves the process in an unknown state: it ends, and what is in the log of writes is safe. */
function watchForBugs(log: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (err: unknown) => {
      log.error({ err, event }, 'ending because of a bug; please report this');
      process.exit(FAILED);
    });
  }
}

function targetList(): string {
  return Object.entries(modules)
    .flatMap(([name, { target }]) => (target === undefined ? [] : [`${name.padEnd(16)} ${target}`]))
    .join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
