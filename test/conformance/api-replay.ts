import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { CLOSE, difference, sorted } from '../harness/compare.ts';

/** A request, and what Prometheus answered. */
export interface ApiCase {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly status: number;
  readonly response_headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  readonly order?: 'any';
  /** The answer is another each time: only asked, not compared. */
  readonly varies?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Sends a request as it is: addresses are not made canonical on the way. */
export function sendRaw(
  url: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string | Uint8Array,
  timeoutMs = 60_000,
): Promise<HttpAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((done, fail) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = http.request({ hostname, port, method, path, headers: { ...length, ...headers } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.once('error', fail);
      answer.once('end', () =>
        done({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(parts) }),
      );
    });
    request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.once('error', fail);
    request.end(body);
  });
}

/** Why the server's answer is not Prometheus', or undefined. */
export async function replay(url: string, each: ApiCase): Promise<string | undefined> {
  const answer = await sendRaw(url, each.method, each.url, each.headers, each.body);
  const body = answer.headers['content-encoding'] === 'gzip' ? gunzipSync(answer.body) : answer.body;
  const text = body.toString('utf8');
  if (answer.status !== each.status) {
    return `status ${each.status} wanted, there is ${answer.status} ${text.slice(0, 200)}`;
  }
  const type = each.response_headers?.['content-type']?.split(';')[0];
  const gotType = (answer.headers['content-type'] ?? '').split(';')[0];
  if (type !== undefined && type !== '' && type !== gotType) return `type ${type} wanted, there is ${gotType}`;
  if (each.json !== undefined) {
    let got: unknown;
    try {
      got = JSON.parse(text);
    } catch {
      return `not JSON: ${text.slice(0, 100)}`;
    }
    const order = each.order === 'any' ? sorted : (answer: unknown) => answer;
    return difference(order(each.json), order(got), CLOSE);
  }
  if (each.text !== undefined && answer.status === 200 && each.text !== text) {
    return `text ${JSON.stringify(each.text.slice(0, 100))} wanted, there is ${JSON.stringify(text.slice(0, 100))}`;
  }
  return undefined;
}

/** Names of the cases that differ, with the reason. Those that vary are asked and not compared. */
export async function replayAll(
  url: string,
  cases: readonly ApiCase[],
): Promise<{ equal: number; varied: number; differing: Map<string, string> }> {
  const differing = new Map<string, string>();
  let equal = 0;
  let varied = 0;
  for (const each of cases) {
    const why = await replay(url, each).catch((error: Error) => `no answer: ${error.message}`);
    if (each.varies) varied++;
    else if (why === undefined) equal++;
    else differing.set(each.name, why);
  }
  return { equal, varied, differing };
}
