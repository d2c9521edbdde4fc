import type { EventAnswer, ServiceListAnswer } from '../../contract/services.ts';
import { isOfService, type TenantEvent } from '../../deployments/event.ts';
import { EventBodyError, readEventBody } from '../../deployments/event-body.ts';
import type { EventBook } from '../../deployments/event-book.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route } from '../../kit/http/message.ts';
import type { Clock } from '../../lib/clock.ts';
import { DAY_MS } from '../../lib/day.ts';
import { eventErrors } from '../../model/errors-event.ts';
import { type ServiceId, serviceKey, serviceOfKey } from '../../model/service-id.ts';
import type { ServiceDirectory } from '../../services/directory.ts';

export interface ServiceRoutesOptions {
  readonly directory: ServiceDirectory;
  readonly events: EventBook;
  /** Told of each event that was sent in. */
  readonly onSent: (tenant: string, event: TenantEvent) => void;
  readonly clock: Clock;
}

const EVENT_BYTES_MAX = 256 << 10;
/** Events of one answer. */
const EVENTS_MAX = 10_000;

/** `/api/v1/services`, `/api/v1/services/:service/…`, `/api/v1/events` */
export function serviceRoutes(options: ServiceRoutesOptions): Route[] {
  const { directory } = options;
  const get = (path: string, answer: (request: HttpRequest, params: AddressParams) => Promise<unknown>): Route => ({
    path,
    methods: ['GET'],
    needs: 'read',
    tenant: 'one',
    failures: 'api',
    cors: true,
    handle: async (request) => success(await answer(request, AddressParams.of(request.query))),
  });
  return [
    get('/api/v1/services', async ({ tenant }) => {
      const { services, renewedMs, refusals } = await directory.list(tenant);
      const answer: ServiceListAnswer = {
        services: services.map((service) => ({ key: serviceKey(service.id), ...service })),
        renewedMs,
        refusals,
      };
      return answer;
    }),
    get('/api/v1/services/:service/dashboard', async (request, params) => {
      const step = params.get('step');
      const stepMs = step === null ? undefined : Number(step) * 1000;
      if (stepMs !== undefined && !(stepMs > 0))
        throw eventErrors.eventInvalid({ reason: `step ${step} is no number of seconds` });
      return directory.dashboard(request.tenant, serviceIn(request), stepMs, request.signal);
    }),
    get('/api/v1/services/:service/before_after', async (request, params) => {
      const span = params.get('span');
      const spanMs = span === null ? undefined : Number(span) * 1000;
      return directory.beforeAfter(
        request.tenant,
        serviceIn(request),
        params.get('event') ?? '',
        spanMs,
        request.signal,
      );
    }),
    {
      path: '/api/v1/events',
      methods: ['GET', 'POST'],
      needs: { GET: 'read', POST: 'edit' },
      tenant: 'one',
      failures: 'api',
      cors: true,
      bodyBytesMax: EVENT_BYTES_MAX,
      handle: (request) => (request.method === 'POST' ? sent(options, request) : listed(options, request)),
    },
  ];
}

async function sent({ events, clock, onSent }: ServiceRoutesOptions, request: HttpRequest): Promise<HttpResponse> {
  const { tenant, body, user = '', signal } = request;
  let event: TenantEvent;
  try {
    event = readEventBody(Buffer.from(body).toString(), { nowMs: clock.nowMs(), user });
  } catch (thrown) {
    if (thrown instanceof EventBodyError) throw eventErrors.eventInvalid({ reason: thrown.message });
    throw thrown;
  }
  await events.put(tenant, [event], signal);
  onSent(tenant, event);
  // Grafana's clients look for `message` and `id`
  return jsonResponse({ status: 'success', data: shown(event), message: 'Annotation added', id: event.id });
}

async function listed(
  { events, clock }: ServiceRoutesOptions,
  { tenant, query, signal }: HttpRequest,
): Promise<HttpResponse> {
  const params = AddressParams.of(query);
  const endMs = timeOf(params.get('end') ?? params.get('to'), clock.nowMs());
  const startMs = timeOf(params.get('start') ?? params.get('from'), endMs - DAY_MS);
  const key = params.get('service');
  const service = key === null ? undefined : serviceOfKey(key);
  if (key !== null && service === undefined) throw eventErrors.serviceKeyInvalid({ key });
  const withRestarts = params.get('restarts') === 'true';
  const found = (await events.list(tenant, { startMs, endMs }, signal)).filter(
    (event) => (service === undefined || isOfService(event, service)) && (withRestarts || event.kind !== 'restart'),
  );
  return success(found.slice(-EVENTS_MAX).map(shown));
}

function shown({ id, kind, evidence, timeMs, endMs, service, from, to, text, tags, user }: TenantEvent): EventAnswer {
  return {
    id,
    type: kind,
    evidence,
    time: timeMs,
    ...(endMs === undefined ? {} : { timeEnd: endMs }),
    ...(service === undefined ? {} : { service: { key: serviceKey(service), ...service } }),
    from,
    to,
    text,
    tags: tags ?? [],
    user,
  };
}

/** Unix seconds, or milliseconds as Grafana sends them. */
function timeOf(text: string | null, otherwise: number): number {
  if (text === null) return otherwise;
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  if (!Number.isFinite(number)) throw eventErrors.eventInvalid({ reason: `${text} is no time` });
  return number < 1e11 ? number * 1000 : number;
}

/** @throws AppError */
function serviceIn({ params }: HttpRequest): ServiceId {
  const key = params?.service ?? '';
  const service = serviceOfKey(key);
  if (service === undefined) throw eventErrors.serviceKeyInvalid({ key });
  return service;
}

function success(data: unknown): HttpResponse {
  return jsonResponse({ status: 'success', data });
}
