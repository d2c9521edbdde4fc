import { spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { tempFolder } from './pallium.ts';
import { freePort } from './ports.ts';

const scripts = join(import.meta.dirname, '../services');
const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const INSTALL_TIMEOUT_MS = 600_000;

/** Another server beside Pallium, started by the scripts of test/services as an instance of its own. */
export class Peer implements AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its files. */
  readonly dataDir: string;
  readonly #instance: string;

  constructor(name: string, instance: string, port: number) {
    this.name = name;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#instance = instance;
    this.dataDir = join(home, 'run', instance, 'data');
    running.add(this);
    this.pid = Number(readFileSync(join(home, 'run', instance, 'pid'), 'utf8'));
  }

  async stop(): Promise<void> {
    running.delete(this);
    await run(join(scripts, 'stop'), [this.#instance], {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(join(home, 'run', this.#instance), { recursive: true, force: true });
  }
}

const running = new Set<Peer>();

/** Ends all that run, where a process does not come to its end. */
export async function stopPeers(): Promise<void> {
  await Promise.all([...running].map((peer) => peer.stop()));
}

export interface PrometheusOptions {
  /** prometheus.yml; without it nothing is scraped. */
  readonly config?: string;
  readonly flags?: readonly string[];
  /** The data that it begins with: blocks in their folders, copied. */
  readonly dataFrom?: string;
}

export function startNodeExporter(): Promise<Peer> {
  return start('node-exporter', 'NODE_EXPORTER_PORT');
}

/** Prometheus 2.42, from Debian. */
export function startPrometheusDebian(options: PrometheusOptions = {}): Promise<Peer> {
  return start('prometheus-debian', 'PROMETHEUS_DEBIAN_PORT', prometheusEnv(options), options.dataFrom);
}

/** Prometheus 3.16. Building it takes minutes, so ask `isInstalled` first. */
export function startPrometheus3(options: PrometheusOptions = {}): Promise<Peer> {
  return start('prometheus', 'PROMETHEUS_PORT', prometheusEnv(options), options.dataFrom);
}

export const isVictoriaMetricsInstalled = existsSync(join(home, 'apps/victoria-metrics-newest-1.150.0/.installed'));

/** VictoriaMetrics 1.150. Building it takes a minute or more, so ask `isVictoriaMetricsInstalled` first. */
export function startVictoriaMetrics(): Promise<Peer> {
  return start('victoria-metrics-newest', 'VICTORIA_METRICS_PORT');
}

export const isPrometheus3Installed = existsSync(join(home, 'apps/prometheus-3.16.0/.installed'));

/** The newest Prometheus that is there without building one. */
export function startNewestPrometheus(options: PrometheusOptions = {}): Promise<Peer> {
  return isPrometheus3Installed ? startPrometheus3(options) : startPrometheusDebian(options);
}

function prometheusEnv({ config, flags = [] }: PrometheusOptions): Record<string, string> {
  const file = join(tempFolder('peer'), 'prometheus.yml');
  writeFileSync(file, config ?? 'global: {}\n');
  return { PROMETHEUS_CONFIG: file, PROMETHEUS_FLAGS: flags.join(' ') };
}

/** A service of test/services by its name. @param port absent: any that is free */
export function startService(name: string, env: Record<string, string> = {}, port?: number): Promise<Peer> {
  return start(name, `${name.toUpperCase().replaceAll('-', '_')}_PORT`, env, undefined, port);
}

let count = 0;

async function start(
  name: string,
  portName: string,
  env: Record<string, string> = {},
  dataFrom?: string,
  ownPort?: number,
): Promise<Peer> {
  const port = ownPort ?? (await freePort());
  const instance = `${name}-test-${process.pid}-${++count}`;
  const all = { ...env, [portName]: String(port), SERVICES_INSTANCE: instance };
  if (dataFrom === undefined) await run(join(scripts, `start-${name}`), [], all);
  else {
    cpSync(dataFrom, join(home, 'run', instance, 'data'), { recursive: true });
    await run(join(scripts, `start-${name}`), [], { ...all, SERVICES_KEEP: '1' });
  }
  return new Peer(name, instance, port);
}

function run(file: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), INSTALL_TIMEOUT_MS);
    child.once('error', fail);
    // not `close`: what the script has started holds the streams open
    child.once('exit', (code) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      if (code === 0) done();
      else fail(new Error(`${file} ${args.join(' ')}: exit ${code}\n${output}`));
    });
  });
}
