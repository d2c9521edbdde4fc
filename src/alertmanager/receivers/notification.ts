import type { NotificationData, NotificationTemplates } from '../../template/alertmanager.ts';
import type { HttpConfig } from '../fields/http-config.ts';
import type { Mail, MailServer } from './mail.ts';

/** Alerts of a group that are to be told to one integration. */
export interface Notification {
  readonly groupKey: string;
  /** SHA-256 of the group's key, as hex digits: the name under which receivers know the group. */
  readonly groupHash: string;
  readonly data: NotificationData;
  readonly templates: NotificationTemplates;
  readonly http: HttpSender;
  readonly mail: MailSender;
  /** An integration's notes about a group from one notification to the next; empty again when the group begins anew. */
  readonly memory: Map<string, string>;
  readonly nowMs: number;
  /** Fires when the next flush is due. */
  readonly signal: AbortSignal;
}

export type FailureReason =
  | 'other'
  | 'clientError'
  | 'serverError'
  | 'contextCanceled'
  | 'contextDeadlineExceeded'
  | 'authError'
  | 'rateLimited'
  | 'templateError';

export type Verdict =
  | { readonly kind: 'sent' }
  | {
      readonly kind: 'failed';
      /** Without secrets. */
      readonly text: string;
      readonly reason: FailureReason;
      /** Another try may succeed. */
      readonly retries: boolean;
      /** The least time until then. */
      readonly delayMs?: number;
    };

export const sent: Verdict = { kind: 'sent' };

export interface OutgoingRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly config: HttpConfig;
  /** Undefined: until the signal fires. */
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Its first 64 KiB. */
  readonly body: string;
}

/** There was no answer. The text holds no address. */
export class SendError extends Error {
  readonly reason: FailureReason;

  constructor(text: string, reason: FailureReason = 'other') {
    super(text);
    this.reason = reason;
  }
}

export interface HttpSender {
  /** @throws SendError */
  send(request: OutgoingRequest, signal: AbortSignal): Promise<Answer>;
}

export interface MailSender {
  /** @throws SendError */
  send(server: MailServer, mail: Mail, signal: AbortSignal): Promise<void>;
}

/** Ways out of the process. */
export interface Senders {
  readonly http: HttpSender;
  readonly mail: MailSender;
}

/** Something of a receiver's own is wrong, so that no other try helps. */
export class NotifyError extends Error {}

/** A template of a receiver, expanded. @throws TemplateError */
export function expander({ templates, data }: Notification): (template: string) => string {
  return (template) => templates.text(template, data);
}

/** JSON as Go writes it: without what is undefined, and with HTML escaped. */
export function goJson(value: unknown): string {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escaped);
}

/** Undefined instead of an empty text, so that JSON leaves it out. */
export function orNothing(value: string): string | undefined {
  return value === '' ? undefined : value;
}

export interface Post {
  readonly url: string;
  readonly body: unknown;
  readonly config: HttpConfig;
  readonly method?: 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Besides those from 500 on. */
  readonly retryStatuses?: readonly number[];
  readonly details?: (answer: Answer) => string;
}

/** Sends JSON, and judges the answer by its status alone. */
export async function post(notification: Notification, given: Post): Promise<Verdict> {
  const answer = await request(notification, given);
  return verdictOf(answer, notification.nowMs, given.retryStatuses, given.details);
}

export function request(notification: Notification, { method, url, body, headers, ...rest }: Post): Promise<Answer> {
  const all = { 'content-type': 'application/json', ...headers };
  const text = `${typeof body === 'string' ? body : goJson(body)}\n`;
  return notification.http.send(
    { method: method ?? 'POST', url, headers: all, body: text, config: rest.config, ...timeoutOf(rest.timeoutMs) },
    notification.signal,
  );
}

function timeoutOf(timeoutMs: number | undefined): { timeoutMs?: number } {
  return timeoutMs === undefined || timeoutMs === 0 ? {} : { timeoutMs };
}

export function verdictOf(
  answer: Answer,
  nowMs: number,
  retryStatuses: readonly number[] = [],
  details: (answer: Answer) => string = ({ body }) => body,
): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) return sent;
  const more = details(answer);
  const text = `unexpected status code ${status}${more === '' ? '' : `: ${more}`}`;
  const retries = status >= 500 || retryStatuses.includes(status);
  const delayMs = retries ? retryAfterMs(answer, nowMs) : 0;
  return { kind: 'failed', text, retries, reason: reasonOf(status), ...(delayMs > 0 ? { delayMs } : {}) };
}

const delayMsMax = 3_600_000;

function retryAfterMs({ headers }: Answer, nowMs: number): number {
  const given = headers.get('retry-after');
  if (given === undefined) return 0;
  const ms = /^\d{1,9}$/.test(given) ? Number(given) * 1000 : Date.parse(given) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, Math.min(delayMsMax, ms)) : 0;
}

export function reasonOf(status: number): FailureReason {
  if (status === 401 || status === 403) return 'authError';
  if (status === 429) return 'rateLimited';
  return status >= 500 ? 'serverError' : status >= 400 ? 'clientError' : 'other';
}

export function failed(text: string, options: { readonly retries: boolean; readonly reason?: FailureReason }): Verdict {
  return { kind: 'failed', text, retries: options.retries, reason: options.reason ?? 'other' };
}

/** The first `count` characters, the last of them `…` where there were more. */
export function cutRunes(text: string, count: number): string {
  if (text.length <= count) return text;
  const runes = [...text];
  if (runes.length <= count) return text;
  return count <= 3 ? runes.slice(0, count).join('') : `${runes.slice(0, count - 1).join('')}…`;
}

/** At most `bytesMax` bytes of UTF-8, with `…` at the end where there were more. */
export function cutBytes(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const runes = [...text];
  let [bytes, count] = [0, 0];
  while (count < runes.length) {
    bytes += Buffer.byteLength(runes[count]!);
    if (bytes > bytesMax - 3) break;
    count++;
  }
  return `${runes.slice(0, count).join('')}…`;
}

/** As Go writes a time in JSON: no fraction where there is none. */
export function goTime(timeMs: number | undefined): string {
  if (timeMs === undefined) return '0001-01-01T00:00:00Z';
  return new Date(timeMs).toISOString().replace(/\.?0*Z$/, 'Z');
}
