import type { ApiRequest } from '../contract/api.ts';
import type { AnswerPart, Job, JobHead, JobOrder, QuerierSeat } from '../contract/jobs.ts';
import type { InstantRequest, LanguageFlags } from '../contract/query.ts';
import type { RuleSettings } from '../contract/rules.ts';
import { traceParentOf } from '../kit/observe/trace.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import { checkTenant } from '../model/tenant.ts';
import { tenantsOf } from '../model/tenants.ts';
import { batchOf } from './batch-wire.ts';
import { type AskedLookup, lookupOf } from './lookup-wire.ts';
import { type AskedQuery, queryOf } from './query-wire.ts';
import {
  boolOf,
  bytesOf,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  numberOf,
  optional,
  textOf,
  textsOf,
  wrongShape,
} from './shapes.ts';

// Jobs on their way from front ends to queriers, and their answers' heads, read from what came over the wire.

/** Longest name of a job, a querier, an address, a header. */
const NAME_CHARS_MAX = 64 * 1024;
const TEXT_CHARS_MAX = 64 * 1024 * 1024;
const LIST_MAX = 100_000;
const PLACES_MAX = 100_000;

/** The request of a job: the querier alone reads it. */
export type JobRequest =
  | ({
      readonly kind: 'query';
      readonly trace?: string | undefined;
      /** Settings of the front end. Absent: of one of a version before. */
      readonly language?: LanguageFlags | undefined;
    } & AskedPast &
      AskedQuery)
  | ({ readonly kind: 'lookup'; readonly trace?: string | undefined } & AskedPast & AskedLookup)
  | { readonly kind: 'rules'; readonly requests: readonly InstantRequest[] }
  | { readonly kind: 'api'; readonly request: ApiRequest };

interface AskedPast {
  /** The oldest time that may be read, Unix ms, by limits of the front end; ANY_TIME_MS: any. Absent: of one of a version before. */
  readonly oldestMs?: number | undefined;
}

export function encodeRequest(request: JobRequest): Uint8Array {
  return encodeValue(request);
}

/** @throws peerMessageInvalid */
export function decodeRequest(bytes: Uint8Array): JobRequest {
  const fields = fieldsOf(decodeValue(bytes), 'request');
  if (fields.kind === 'query') {
    const trace = traceParentOf(fields.trace);
    const language = optional(fields.language, languageOf);
    const told = { ...(trace !== undefined && { trace }), ...(language && { language }), ...pastOf(fields) };
    return { kind: 'query', ...queryOf(fields), ...told };
  }
  if (fields.kind === 'lookup') {
    const trace = traceParentOf(fields.trace);
    return { kind: 'lookup', ...lookupOf(fields), ...(trace !== undefined && { trace }), ...pastOf(fields) };
  }
  if (fields.kind === 'rules') return { kind: 'rules', requests: batchOf(fields.requests) };
  if (fields.kind === 'api') return { kind: 'api', request: apiRequestOf(fields.request) };
  throw wrongShape('request.kind');
}

/** Flags that are no truth values are of a version to come. */
function languageOf(value: unknown): LanguageFlags {
  const flags = Object.entries(fieldsOf(value, 'language'));
  return Object.fromEntries(flags.flatMap(([flag, each]) => (typeof each === 'boolean' ? [[flag, each]] : [])));
}

function pastOf(fields: Fields): AskedPast {
  const oldestMs = optional(fields.oldestMs, (each) => numberOf(each, 'oldestMs'));
  return oldestMs === undefined ? {} : { oldestMs };
}

function apiRequestOf(value: unknown): ApiRequest {
  const fields = fieldsOf(value, 'request');
  const name = (field: string) => optional(fields[field], (each) => textOf(each, field, NAME_CHARS_MAX));
  const { asker, caller, body, rules } = fields;
  return present({
    tenant: tenantsNameOf(fields.tenant),
    method: textOf(fields.method, 'method', NAME_CHARS_MAX),
    path: textOf(fields.path, 'path', TEXT_CHARS_MAX),
    params: listOf(fields.params, 'params', LIST_MAX, (each) => {
      const [key, text] = textsOf(each, 'params', TEXT_CHARS_MAX);
      if (key === undefined || text === undefined) throw wrongShape('params');
      return [key, text] as const;
    }),
    accept: name('accept'),
    noStore: optional(fields.noStore, (each) => boolOf(each, 'noStore')),
    asker: optional(asker, (each) => {
      const { user, source } = fieldsOf(each, 'asker');
      if (source !== 'rule' && source !== 'dashboard' && source !== 'api') throw wrongShape('asker.source');
      return { user: textOf(user, 'asker.user', NAME_CHARS_MAX), source };
    }),
    body: optional(body, (each) => bytesOf(each, 'body')),
    takesParts: optional(fields.takesParts, (each) => boolOf(each, 'takesParts')),
    user: name('user'),
    caller: optional(caller, (each) => {
      const own = fieldsOf(each, 'caller');
      const text = (field: string) => textOf(own[field], `caller.${field}`, NAME_CHARS_MAX);
      return { userAgent: text('userAgent'), dashboardUid: text('dashboardUid'), panelId: text('panelId') };
    }),
    trace: traceParentOf(fields.trace),
    rules: optional(rules, ruleSettingsOf),
  });
}

function ruleSettingsOf(value: unknown): RuleSettings {
  const fields = fieldsOf(value, 'rules');
  const labels = Object.entries(fieldsOf(fields.externalLabels, 'externalLabels'));
  return {
    evaluationIntervalMs: numberOf(fields.evaluationIntervalMs, 'evaluationIntervalMs'),
    intervalMsMin: numberOf(fields.intervalMsMin, 'intervalMsMin'),
    queryOffsetMs: numberOf(fields.queryOffsetMs, 'queryOffsetMs'),
    externalLabels: Object.fromEntries(labels.map(([name, text]) => [name, textOf(text, name, NAME_CHARS_MAX)])),
    externalUrl: textOf(fields.externalUrl, 'externalUrl', NAME_CHARS_MAX),
    rulesMax: countOf(fields.rulesMax, 'rulesMax'),
  };
}

/** Without the fields that are absent. */
function present<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

/** One tenant, or several by a joined name. */
function tenantsNameOf(value: unknown): string {
  const name = textOf(value, 'tenant', NAME_CHARS_MAX);
  for (const tenant of tenantsOf(name)) checkTenant(tenant);
  return name;
}

function nameOf(value: unknown, name: string): string {
  return textOf(value, name, NAME_CHARS_MAX);
}

/** All of a job but its payload, which is the body. */
export function jobFields({ payload: _, ...job }: Job): Omit<Job, 'payload'> {
  return job;
}

export function jobOf(value: unknown, payload: Uint8Array): Job {
  const fields = fieldsOf(value, 'job');
  return {
    id: nameOf(fields.id, 'job.id'),
    tenant: tenantsNameOf(fields.tenant),
    query: nameOf(fields.query, 'job.query'),
    costMs: numberOf(fields.costMs, 'job.costMs'),
    priority: numberOf(fields.priority, 'job.priority'),
    ...(optional(fields.isOfRules, (each) => boolOf(each, 'job.isOfRules')) && { isOfRules: true }),
    avoid: textsOf(fields.avoid, 'job.avoid', NAME_CHARS_MAX),
    answersTo: nameOf(fields.answersTo, 'job.answersTo'),
    inParts: boolOf(fields.inParts, 'job.inParts'),
    payload,
  };
}

export function orderHead(order: JobOrder): unknown {
  return order.kind === 'job' ? { job: order.job } : { cancel: order.id };
}

export function orderOf(bytes: Uint8Array): JobOrder {
  const { job, cancel } = fieldsOf(decodeValue(bytes), 'order');
  if (job === undefined) return { kind: 'cancel', id: nameOf(cancel, 'cancel') };
  return { kind: 'job', job: jobOf(job, bytesOf(fieldsOf(job, 'job').payload, 'payload')) };
}

export function placesOf({ places, heavyPlaces }: Fields): Omit<QuerierSeat, 'id'> {
  return {
    places: Math.min(PLACES_MAX, countOf(places, 'places')),
    heavyPlaces: Math.min(PLACES_MAX, countOf(heavyPlaces, 'heavyPlaces')),
  };
}

export function seatOf(value: unknown): QuerierSeat {
  const fields = fieldsOf(value, 'seat');
  return { id: nameOf(fields.id, 'seat.id'), ...placesOf(fields) };
}

export function answerPartOf(value: unknown): AnswerPart {
  const { job, querier, head, bytes, isLast } = fieldsOf(value, 'answer');
  return {
    job: nameOf(job, 'job'),
    querier: nameOf(querier, 'querier'),
    head: optional(head, headOf),
    bytes: bytesOf(bytes, 'bytes'),
    isLast: boolOf(isLast, 'isLast'),
  };
}

function headOf(value: unknown): JobHead {
  const { workedMs, answerBytes, api } = fieldsOf(value, 'head');
  const bytes = optional(answerBytes, (each) => countOf(each, 'answerBytes'));
  const own = { workedMs: numberOf(workedMs, 'workedMs'), ...(bytes !== undefined && { answerBytes: bytes }) };
  if (api === undefined) return own;
  const { status, contentType, headers } = fieldsOf(api, 'api');
  const code = countOf(status, 'status');
  if (code < 100 || code > 599) throw wrongShape('status');
  return {
    ...own,
    api: {
      status: code,
      contentType: nameOf(contentType, 'contentType'),
      headers: optional(headers, (each) =>
        Object.fromEntries(
          Object.entries(fieldsOf(each, 'headers')).map(([name, text]) => [name, nameOf(text, 'headers')]),
        ),
      ),
    },
  };
}
