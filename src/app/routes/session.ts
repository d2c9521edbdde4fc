import { ANYBODY, type Gate } from '../../kit/http/auth.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import { SESSION_COOKIE } from '../../kit/http/session.ts';
import type { Identity } from '../../kit/http/users.ts';
import type { App } from '../app.ts';

const BODY_BYTES_MAX = 16 << 10;

/** `/api/v1/session`: pages log in with it, and ask who they act for and what is served here. Open: it proves for itself who asks. */
export function sessionRoutes(app: App): Route[] {
  const { gate, config } = app;
  const cookie = (value: string, maxAgeMs: number, isTls: boolean) =>
    [
      `${SESSION_COOKIE}=${value}`,
      `Path=${config.server.httpPathPrefix.replace(/\/$/, '')}/`,
      `Max-Age=${Math.floor(maxAgeMs / 1000)}`,
      'HttpOnly',
      'SameSite=Strict',
      ...(isTls ? ['Secure'] : []),
    ].join('; ');
  const isTls = ({ headers }: HttpRequest) =>
    config.server.httpTlsCertPath !== '' || headers.origin?.startsWith('https:') === true;
  return [
    {
      path: '/api/v1/session',
      methods: ['GET', 'POST', 'DELETE'],
      needs: 'nothing',
      failures: 'api',
      bodyBytesMax: BODY_BYTES_MAX,
      handle(request) {
        const { method, headers, address } = request;
        if (method === 'DELETE') return answer(undefined, { 'set-cookie': cookie('', 0, isTls(request)) });
        if (method !== 'POST') return answer(shownSession(app, gate.identify(headers, address)));
        const authorization = authorizationIn(request);
        if (authorization === undefined) {
          return textResponse(400, 'JSON is wanted: {"name": …, "password": …} or {"token": …}\n');
        }
        const identity = logIn(gate, authorization, address);
        const session = gate.session(identity);
        const more = session && { 'set-cookie': cookie(session.value, session.maxAgeMs, isTls(request)) };
        return answer(shownSession(app, identity), more);
      },
    },
  ];
}

/** @throws unauthorized, tooManyFailedLogins */
function logIn(gate: Gate, authorization: string, address: string): Identity {
  return gate.closed ? gate.identify({ authorization }, address) : ANYBODY;
}

function answer(data: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return jsonResponse({ status: 'success', data }, { headers: { 'cache-control': 'no-store', ...headers } });
}

/** The header that a client with the same credentials sends with each request; undefined where the body names none. */
function authorizationIn({ body }: HttpRequest): string | undefined {
  let given: { name?: unknown; password?: unknown; token?: unknown } | null;
  try {
    given = JSON.parse(Buffer.from(body).toString());
  } catch {
    return undefined;
  }
  if (typeof given?.token === 'string' && given.token !== '') return `Bearer ${given.token}`;
  if (typeof given?.name !== 'string' || typeof given.password !== 'string') return undefined;
  // a colon would end the name
  if (given.name.includes(':')) return 'Basic -';
  return `Basic ${Buffer.from(`${given.name}:${given.password}`).toString('base64')}`;
}

/** @see web/src/api/session.ts */
function shownSession({ config, gate, http, version, parts }: App, { name, tenants, rights }: Identity): object {
  return {
    user: name,
    // null: any
    tenants: tenants ?? null,
    rights,
    authentication: gate.closed,
    tenancy: config.auth.tenancy,
    defaultTenant: config.auth.defaultTenant,
    version,
    apis: http.routes
      .filter(({ path }) => path === '/ring' || /^\/(alertmanager\/)?api\/v/.test(path))
      .map(({ path }) => path),
    pushPath: '/api/v1/push',
    selfMonitoringTenant: parts.selfMonitoringTenant ?? null,
  };
}
