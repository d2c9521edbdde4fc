import type { NameEscaping } from './escape-name.ts';
import type { ExpositionFormat } from './families.ts';

/** The answer that a scraper takes: its form, and how names are escaped in it. */
export interface Negotiated {
  readonly format: ExpositionFormat;
  readonly escaping: NameEscaping;
  readonly contentType: string;
}

const PROTOBUF = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const ESCAPINGS: readonly string[] = ['allow-utf-8', 'underscores', 'dots', 'values'] satisfies readonly NameEscaping[];
/** More of a header is not looked at. */
const CLAUSES_MAX = 100;

interface Clause {
  readonly type: string;
  readonly params: ReadonlyMap<string, string>;
  readonly q: number;
}

/**
 * The first format that the header accepts, most wanted first; text where it accepts none. The escaping that is named last until then
 * holds. Source: prometheus/common `NegotiateAccept`; Prometheus' texts of protobuf, which nothing scrapes, are left out.
 */
export function negotiateExposition(accept: string): Negotiated {
  let escaping: NameEscaping = 'underscores';
  let format: ExpositionFormat = 'text';
  for (const { type, params } of clausesOf(accept)) {
    const wanted = params.get('escaping');
    if (wanted !== undefined && ESCAPINGS.includes(wanted)) escaping = wanted as NameEscaping;
    const found = acceptedBy(type, params);
    if (found === undefined) continue;
    format = found;
    break;
  }
  return { format, escaping, contentType: `${format === 'protobuf' ? PROTOBUF : TEXT}; escaping=${escaping}` };
}

function acceptedBy(type: string, params: ReadonlyMap<string, string>): ExpositionFormat | undefined {
  const anything = type === '*/*';
  const isProtobuf = anything || type === 'application/*' || type === 'application/vnd.google.protobuf';
  if (
    isProtobuf &&
    params.get('proto') === 'io.prometheus.client.MetricFamily' &&
    params.get('encoding') === 'delimited'
  ) {
    return 'protobuf';
  }
  const version = params.get('version') ?? (type === 'text/plain' ? '0.0.4' : '');
  return (anything || type === 'text/*' || type === 'text/plain') && version === '0.0.4' ? 'text' : undefined;
}

/** Most wanted first; of equal ones those without a star. */
function clausesOf(accept: string): Clause[] {
  const clauses = accept.split(',', CLAUSES_MAX).flatMap((text): Clause[] => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim());
    if (type === '') return [];
    const params = new Map(
      rest.map((part): [string, string] => {
        const [name = '', ...value] = part.split('=');
        return [name.trim(), value.join('=').trim()];
      }),
    );
    const q = params.has('q') ? Number.parseFloat(params.get('q')!) : 1;
    params.delete('q');
    return [{ type: type === '*' ? '*/*' : type, params, q: Number.isNaN(q) ? 1 : q }];
  });
  const stars = ({ type }: Clause): number => type.split('*').length;
  return clauses.sort((a, b) => b.q - a.q || stars(a) - stars(b));
}
