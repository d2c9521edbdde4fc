import { type ServiceId, serviceKey, serviceOfKey } from '../model/service-id.ts';
import type { DeploymentKind } from './deployment.ts';
import type { TenantEvent } from './event.ts';
import { EVENTS_KEPT_MS } from './event-book.ts';

/** Why a body is no event. */
export class EventBodyError extends Error {}

const TEXT_CHARS_MAX = 4096;
const NAME_CHARS_MAX = 1024;
const TAGS_MAX = 64;
/** Events may be of a little later: clocks differ, and maintenance is announced. */
const FUTURE_MS = 24 * 3_600_000;
const KINDS: readonly string[] = ['deployment', 'canary', 'rollback', 'restart', 'annotation'] satisfies readonly (
  | DeploymentKind
  | 'annotation'
)[];

/**
 * Reads what was sent: `{type, time, timeEnd, text, tags, service, from, to}`, or the body of Grafana's annotations (`time`, `timeEnd`
 * and `tags` among others), in which tags `service:…`, `namespace:…`, `cluster:…` and `version:…` say what it is about. The type is
 * `deployment` where a service and a version are named, else `annotation`.
 *
 * @throws EventBodyError
 */
export function readEventBody(text: string, context: { readonly nowMs: number; readonly user: string }): TenantEvent {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new EventBodyError('the body is no JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new EventBodyError('an object is wanted');
  const given = body as Readonly<Record<string, unknown>>;
  const tags = tagsIn(given.tags);
  const tagged = (name: string) => tags.find((tag) => tag.startsWith(`${name}:`))?.slice(name.length + 1);
  const timeMs = timeIn(given.time ?? given.timestamp, 'time', context.nowMs) ?? context.nowMs;
  const endMs = timeIn(given.timeEnd, 'timeEnd', context.nowMs);
  if (endMs !== undefined && endMs < timeMs) throw new EventBodyError('timeEnd is before time');
  const service = serviceIn(given.service, tagged);
  const to = textIn(given.to ?? given.version, 'to', NAME_CHARS_MAX) ?? tagged('version');
  const from = textIn(given.from, 'from', NAME_CHARS_MAX);
  const kind =
    textIn(given.type, 'type', NAME_CHARS_MAX) ??
    (service !== undefined && to !== undefined ? 'deployment' : 'annotation');
  if (!KINDS.includes(kind)) throw new EventBodyError(`type ${kind} is none of ${KINDS.join(', ')}`);
  if (kind !== 'annotation' && service === undefined) throw new EventBodyError(`a ${kind} needs a service`);
  const words = textIn(given.text, 'text', TEXT_CHARS_MAX);
  if (words === undefined && to === undefined && tags.length === 0) throw new EventBodyError('text is missing');
  const id = textIn(given.id, 'id', NAME_CHARS_MAX);
  return {
    id: id === undefined ? idOf(kind, service, to, words, tags, timeMs) : `sent/${id}`,
    kind: kind as TenantEvent['kind'],
    evidence: 'sent',
    timeMs,
    ...(endMs === undefined || endMs === timeMs ? {} : { endMs }),
    ...(service === undefined ? {} : { service }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(words === undefined ? {} : { text: words }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(context.user === '' ? {} : { user: context.user }),
  };
}

/** The same for the same event: a step of a pipeline that is run again sends nothing new. */
function idOf(
  kind: string,
  service: ServiceId | undefined,
  to: string | undefined,
  text: string | undefined,
  tags: readonly string[],
  timeMs: number,
): string {
  if (service !== undefined && to !== undefined) {
    return `${serviceKey(service)}/${encodeURIComponent(to.toWellFormed())}/${timeMs}`;
  }
  let hash = 0;
  for (const char of [kind, text ?? '', ...tags].join('\0')) hash = (Math.imul(hash, 31) + char.codePointAt(0)!) >>> 0;
  return `sent/${service === undefined ? '' : serviceKey(service)}/${timeMs}/${hash.toString(36)}`;
}

function tagsIn(given: unknown): string[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given) || given.length > TAGS_MAX)
    throw new EventBodyError(`tags are a list of at most ${TAGS_MAX}`);
  return given.map((tag) => textIn(tag, 'a tag', NAME_CHARS_MAX) ?? '').filter((tag) => tag !== '');
}

function textIn(given: unknown, name: string, charsMax: number): string | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  if (typeof given !== 'string') throw new EventBodyError(`${name} is no text`);
  if (given.length > charsMax)
    throw new EventBodyError(`${name} has ${given.length} characters, more than ${charsMax}`);
  return given.toWellFormed();
}

/** Unix milliseconds, Unix seconds, or RFC 3339. */
function timeIn(given: unknown, name: string, nowMs: number): number | undefined {
  if (given === undefined || given === null || given === 0) return undefined;
  const number =
    typeof given === 'number' ? given : /^\d+(\.\d+)?$/.test(String(given)) ? Number(given) : Date.parse(String(given));
  // seconds since 1970 have ten digits for a long time
  const timeMs = Math.floor(number < 1e11 ? number * 1000 : number);
  if (!Number.isFinite(timeMs))
    throw new EventBodyError(`${name} is no time: Unix milliseconds or RFC 3339 are wanted`);
  if (timeMs < nowMs - EVENTS_KEPT_MS) throw new EventBodyError(`${name} is more than a year ago`);
  if (timeMs > nowMs + FUTURE_MS) throw new EventBodyError(`${name} is more than a day ahead`);
  return timeMs;
}

/** A key, an object of parts, or a name with tags beside it. */
function serviceIn(given: unknown, tagged: (name: string) => string | undefined): ServiceId | undefined {
  if (typeof given === 'object' && given !== null) {
    const { cluster, namespace, name } = given as Readonly<Record<string, unknown>>;
    const part = (value: unknown, what: string) => textIn(value, `service.${what}`, NAME_CHARS_MAX) ?? '';
    const id = { cluster: part(cluster, 'cluster'), namespace: part(namespace, 'namespace'), name: part(name, 'name') };
    if (id.name === '') throw new EventBodyError('service.name is missing');
    return id;
  }
  const text = textIn(given, 'service', NAME_CHARS_MAX);
  const key = text === undefined ? undefined : serviceOfKey(text);
  if (key !== undefined) return key;
  const name = text ?? tagged('service');
  if (name === undefined || name === '') return undefined;
  return { cluster: tagged('cluster') ?? '', namespace: tagged('namespace') ?? '', name };
}
