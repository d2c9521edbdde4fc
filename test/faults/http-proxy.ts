import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

/** The fate of a request, instead of, or after, being passed on. */
export type Verdict =
  | { readonly kind: 'pass' }
  /** Answered here; the service never sees it. */
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  /** Carried out by the service, and the connection cut before its answer. */
  | { readonly kind: 'lose' }
  /** Carried out twice, the second answer counts. */
  | { readonly kind: 'repeat' };

/** Stands in front of a service that speaks HTTP and does to each request what `judge` says. */
export class HttpProxy {
  judge: (exchange: HttpExchange) => Verdict = () => ({ kind: 'pass' });
  readonly #target: number;
  readonly #server: Server;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((request, response) => {
      this.#serve(request).then(
        (answer) => {
          if (answer === undefined) response.destroy();
          else response.writeHead(answer.status, answer.headers).end(answer.body);
        },
        () => response.destroy(),
      );
    });
  }

  static async listen(targetPort: number): Promise<HttpProxy> {
    const proxy = new HttpProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage): Promise<Passed | undefined> {
    const { method = 'GET', url: path = '/', headers } = request;
    const exchange: HttpExchange = { method, path, headers, body: await bodyOf(request) };
    const verdict = this.judge(exchange);
    switch (verdict.kind) {
      case 'answer':
        return { headers: {}, ...verdict.answer, body: Buffer.from(verdict.answer.body) };
      case 'pass':
        return this.#pass(exchange);
      case 'lose':
        await this.#pass(exchange);
        return undefined;
      case 'repeat':
        await this.#pass(exchange);
        return this.#pass(exchange);
    }
  }

  /** The host's name stays as it was asked for: it is part of what was signed. */
  #pass({ method, path, headers, body }: HttpExchange): Promise<Passed> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port: this.#target, method, path, headers }, (response) => {
        bodyOf(response).then((whole) => {
          const { 'transfer-encoding': _, ...rest } = response.headers;
          resolve({ status: response.statusCode ?? 502, headers: rest, body: whole });
        }, reject);
      });
      request.on('error', reject);
      request.end(body);
    });
  }
}

interface Passed {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
