import type { PushBackend } from '../../contract/push.ts';
import type { ServerConfig } from '../../kit/http/config.ts';
import { type Route, textResponse } from '../../kit/http/message.ts';

/** The paths that senders know: Cortex', its older one, and Prometheus'; the first and the last also below the prefix of the API. */
const PATHS = ['/api/v1/push', '/api/prom/push', '/api/v1/write'];

export function pushRoutes(backend: PushBackend, { pushBodyBytesMax, prometheusHttpPrefix }: ServerConfig): Route[] {
  const prefix = prometheusHttpPrefix.replace(/\/$/, '');
  const paths = new Set([...PATHS, `${prefix}/api/v1/push`, `${prefix}/api/v1/write`]);
  return [...paths].map((path) => ({
    path,
    methods: ['POST'],
    needs: 'write' as const,
    tenant: 'one',
    bodyBytesMax: pushBodyBytesMax,
    bodyLimit: 'server.push_body_bytes_max',
    inFront: 'writes' as const,
    async handle({ tenant, headers, body, signal }) {
      const {
        status,
        headers: more,
        text,
      } = await backend.push(
        {
          tenant,
          headers: {
            'content-type': headers['content-type'],
            'content-encoding': headers['content-encoding'],
            'user-agent': headers['user-agent'],
            'x-prometheus-remote-write-version': single(headers['x-prometheus-remote-write-version']),
          },
          body,
        },
        signal,
      );
      return text === ''
        ? { status, headers: more }
        : textResponse(status, text.endsWith('\n') ? text : `${text}\n`, more);
    },
  }));
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
