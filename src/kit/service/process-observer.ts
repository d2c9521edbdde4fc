import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { Clock, Timer } from '../../lib/clock.ts';
import { counter, gauge, metricTable } from '../observe/metrics.ts';
import type { Service } from './service.ts';

const processMetrics = metricTable({
  buildInfo: gauge('build_info', 'Always 1; the labels say what runs.', ['version', 'nodeversion']),
  loopDelay: gauge('event_loop_delay_seconds', 'Delay of the main thread over the last full ten seconds.', [
    'percentile',
  ]),
  loopDelayMax: gauge('event_loop_delay_max_seconds', 'Longest delay of the main thread since the start.'),
  loopStalls: counter(
    'event_loop_stalls_total',
    'Periods of ten seconds in which the main thread was once held up for over 250 ms.',
  ),
});

/** Gauges of prom-client that end as counters do; each is the sum of one that has types. */
const SUMS = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

const RESOLUTION_MS = 10;
const PERIOD_MS = 10_000;
const STALL_SECONDS = 0.25;

/** CPU, memory, garbage collection, and how long the main thread was held up. */
export function processObserver(registry: Registry, version: string, clock: Clock): Service {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let timer: Timer | undefined;
  return {
    name: 'process-observer',
    async start() {
      collectDefaultMetrics({ register: registry });
      for (const name of SUMS) registry.removeSingleMetric(name);
      const metrics = processMetrics(registry);
      metrics.buildInfo.set({ version, nodeversion: process.version }, 1);
      // what it records is the time between two ticks, of which the resolution is none of our doing
      const seconds = (ns: number) => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3);
      let longest = 0;
      const take = () => {
        if (delays.count === 0) return;
        for (const percentile of [50, 99, 99.9]) {
          metrics.loopDelay.set({ percentile: String(percentile) }, seconds(delays.percentile(percentile)));
        }
        longest = Math.max(longest, seconds(delays.max));
        metrics.loopDelayMax.set(longest);
        if (seconds(delays.max) > STALL_SECONDS) metrics.loopStalls.inc();
        delays.reset();
      };
      delays.enable();
      timer = clock.every(PERIOD_MS, take);
    },
    async stop() {
      timer?.cancel();
      delays.disable();
    },
  };
}
