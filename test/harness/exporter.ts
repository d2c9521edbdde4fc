import { createServer, type Server } from 'node:http';

/** A target to scrape: counters, a histogram and gauges that move, one that is there and not, one that goes away for good. */
export class Exporter implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
  }

  /** @param vanishAfterMs when `app_vanishing` is exposed no longer */
  static async start(vanishAfterMs: number): Promise<Exporter> {
    const startedMs = Date.now();
    const server = createServer((_, answer) => {
      answer.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
      answer.end(exposition(Date.now() - startedMs, vanishAfterMs));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new Exporter(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

const BOUNDS = ['0.01', '0.05', '0.1', '0.5', '1', '+Inf'];

function exposition(ageMs: number, vanishAfterMs: number): string {
  const seconds = ageMs / 1000;
  const lines = ['# HELP app_requests_total Requests served.', '# TYPE app_requests_total counter'];
  for (const [i, code] of ['200', '404', '500'].entries()) {
    // starts anew after half a minute, as a restarted process does
    const since = i === 1 && seconds > 30 ? seconds - 30 : seconds;
    lines.push(`app_requests_total{code="${code}",path="/a b\\"c"} ${Math.floor(since * (7 - 2 * i))}`);
  }
  lines.push('# TYPE app_latency_seconds histogram');
  for (const [h, handler] of ['/read', '/write'].entries()) {
    const count = Math.floor(seconds * (11 + 5 * h));
    for (const [i, le] of BOUNDS.entries()) {
      const share = 1 - Math.exp(-(i + 1) * (0.6 - 0.2 * h) * (1 + 0.3 * Math.sin(seconds / 9)));
      const below = le === '+Inf' ? count : Math.floor(count * share);
      lines.push(`app_latency_seconds_bucket{handler="${handler}",le="${le}"} ${below}`);
    }
    lines.push(`app_latency_seconds_sum{handler="${handler}"} ${(count * 0.0731).toFixed(4)}`);
    lines.push(`app_latency_seconds_count{handler="${handler}"} ${count}`);
  }
  lines.push('# TYPE app_temperature gauge', `app_temperature{room="ø"} ${20 + 5 * Math.sin(seconds / 7)}`);
  if (Math.floor(seconds / 5) % 2 === 0) lines.push('# TYPE app_flapping gauge', `app_flapping ${seconds}`);
  if (ageMs < vanishAfterMs) lines.push('# TYPE app_vanishing gauge', `app_vanishing ${seconds}`);
  return `${lines.join('\n')}\n`;
}
