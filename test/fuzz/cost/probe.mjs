// Loaded into every thread of a server under test: how long each thread works at a time without letting others in, in CPU time, so that
// a busy machine does not show. The main thread serves what it has seen at COST_PROBE_PORT.
import http from 'node:http';
import { getEnvironmentData, isMainThread, setEnvironmentData, threadId } from 'node:worker_threads';

const THREADS_MAX = 1024;
const NAME = 'cost-probe';
if (isMainThread) setEnvironmentData(NAME, new Int32Array(new SharedArrayBuffer(4 * THREADS_MAX)));
/** By thread: the longest stretch since it was last read, µs. */
const longest = getEnvironmentData(NAME);
const own = threadId % THREADS_MAX;

let before = usedUs();
const timer = setInterval(() => {
  const now = usedUs();
  // timers run between any two tasks of a busy thread, so what lies between two of them is one stretch, or an idle one
  if (now - before > Atomics.load(longest, own)) Atomics.store(longest, own, now - before);
  before = now;
}, 2);
timer.unref();

function usedUs() {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

if (isMainThread && process.env.PALLIUM_LAUNCHED === '1' && process.env.COST_PROBE_PORT) {
  const server = http.createServer((_, answer) => {
    const seen = Array.from(longest, (_, i) => Atomics.exchange(longest, i, 0));
    answer.end(JSON.stringify(Object.fromEntries(seen.entries().filter(([, us]) => us > 0))));
  });
  server.listen(Number(process.env.COST_PROBE_PORT), '127.0.0.1');
  server.unref();
}
