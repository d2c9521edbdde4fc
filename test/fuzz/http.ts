import http from 'node:http';
import type { Pallium } from '../harness/pallium.ts';
import { rssBytes } from '../harness/process-cost.ts';

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** How to ask the same again. */
  readonly shown: string;
}

export interface FuzzReport {
  readonly statuses: Map<number, number>;
  /** Greatest memory of each half, in bytes. */
  readonly rss: [first: number, second: number];
  readonly faults: string[];
}

const CONCURRENCY = 8;
/** More where the server is paused now and then. */
const TIMEOUT_MS = Number(process.env.FUZZ_TIMEOUT_MS ?? 20_000);
const RSS_EVERY = 100;
/** Requests before memory is looked at: code that runs for the first time is compiled and kept. */
const WARM_PART = 0.1;

/** Sends what `make` makes. A fault is an answer of 500, none in time, or the end of the server or one of its threads. */
export async function fuzz(server: Pallium, count: number, make: (i: number) => FuzzRequest): Promise<FuzzReport> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const statuses = new Map<number, number>();
  const rss: [number, number] = [0, 0];
  const faults: string[] = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < count && faults.length < 10; i = next++) {
      const request = make(i);
      try {
        const { status, text } = await send(server, agent, request);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        // 503 is also what a timeout of the query gives, but no thread may die
        if (status === 500 || /thread ended/.test(text))
          faults.push(`${i}: ${status} ${text.slice(0, 200)}: ${request.shown}`);
      } catch (thrown) {
        faults.push(`${i}: ${(thrown as Error).message}: ${request.shown}`);
      }
      if (!server.alive) {
        faults.push(`${i}: the server has ended: ${request.shown}\n${server.logTail(20)}`);
        return;
      }
      if (i % RSS_EVERY === 0 && i >= count * WARM_PART) {
        const half = i < count / 2 ? 0 : 1;
        rss[half] = Math.max(rss[half], rssBytes(server.pid));
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  agent.destroy();
  return { statuses, rss, faults };
}

function send(
  server: Pallium,
  agent: http.Agent,
  { method, path, headers, body }: FuzzRequest,
): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = http.request(
      { hostname: '127.0.0.1', port: server.port, method, path, headers: { ...headers, ...length }, agent },
      (answer) => {
        let text = '';
        answer.setEncoding('latin1');
        answer.on('data', (part: string) => {
          if (text.length < 300) text += part;
        });
        answer.once('end', () => done({ status: answer.statusCode!, text }));
        answer.once('error', fail);
      },
    );
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.once('error', (error: NodeJS.ErrnoException) => {
      // an answer may come, and the connection be closed, before all of a refused body is sent
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') done({ status: 0, text: String(error) });
      else fail(error);
    });
    request.end(body);
  });
}
