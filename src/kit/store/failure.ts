/** A driver's error, by its meaning to us. */
export interface Failure {
  readonly kind:
    | 'unavailable' // may work when tried again
    | 'throttled' // may work when tried again, later
    | 'denied'
    | 'refused'
    | 'full'
    | 'table-missing'
    | 'object-missing';
  /** For people; secrets are taken out by who passes it on. */
  readonly reason: string;
}

const REASON_CHARS_MAX = 300;

/** A text safe to show: without the given secrets, credentials in URLs, and signatures; on one line, of limited length. */
export function redact(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const secret of secrets) if (secret !== '') safe = safe.replaceAll(secret, '***');
  safe = safe
    .replace(/\/\/[^/\s@]+@/g, '//***@')
    .replace(/\b(sig|signature|x-amz-[a-z-]+|token|password|key|secret)=[^&\s"]+/gi, '$1=***')
    .replace(/\s+/g, ' ')
    .trim();
  return safe.length > REASON_CHARS_MAX ? `${safe.slice(0, REASON_CHARS_MAX)}…` : safe;
}

/** The failures of a connection, by the codes that Node gives them; undefined for anything else. */
export function connectionFailure(thrown: unknown): Failure | undefined {
  const { code, message } = (thrown ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && CONNECTION_CODES.has(code)) return { kind: 'unavailable', reason: code };
  if (/socket hang up|network socket disconnected|other side closed|premature close/i.test(String(message))) {
    return { kind: 'unavailable', reason: String(message) };
  }
  return undefined;
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_SOCKET',
]);
