import type { ServerConfig } from '../../kit/http/config.ts';
import { type HttpResponse, type Route, textResponse } from '../../kit/http/message.ts';
import { systemBytes } from '../../lib/random.ts';
import type { Encoding, WebBuild } from '../web-build.ts';
import { escaped } from './html.ts';

/** Where the pages are. */
const PAGES = '/ui';
/** The page of links, which needs no build. */
export const LINKS = '/links';
const NONCE_BYTES = 18;

/** Paths that people know, from Prometheus and Alertmanager, and the page that each leads to. The part after `#` goes along by itself. */
const LEADS: Readonly<Record<string, string>> = {
  '/query': 'query',
  '/graph': 'query',
  '/alerts': 'alerts',
};
const ALERTMANAGER = ['/alertmanager', '/alertmanager/'];

/**
 * Pages and what leads to them: open to all, for they hold no data.
 * @param build absent: all of it leads to the page of links
 */
export function webRoutes(build: WebBuild | undefined, config: ServerConfig): Route[] {
  const prefix = config.httpPathPrefix.replace(/\/$/, '');
  const below = [...new Set(['', config.prometheusHttpPrefix.replace(/\/$/, '')])];
  const get = (path: string, handle: Route['handle']): Route => ({ path, methods: ['GET'], needs: 'nothing', handle });
  const lead = (path: string, page: string): Route =>
    get(path, ({ query }) => {
      const location =
        build === undefined ? `${prefix}${LINKS}` : `${prefix}${PAGES}/${page}${query === '' ? '' : `?${query}`}`;
      return textResponse(302, `see ${location}\n`, { location, 'cache-control': 'no-store' });
    });
  const index = () =>
    build === undefined
      ? textResponse(404, 'the pages were not built: npm ci builds them where vite runs\n')
      : indexPage(build.indexHtml, prefix);
  const roots = below.flatMap((at) => (at === '' ? ['/'] : [at, `${at}/`]));
  return [
    ...roots.map((path) => lead(path, 'query')),
    ...below.flatMap((at) => Object.entries(LEADS).map(([path, page]) => lead(at + path, page))),
    ...ALERTMANAGER.map((path) => lead(path, 'alertmanager')),
    get(PAGES, index),
    get(`${PAGES}/*`, async ({ path, headers }) => {
      const name = path.slice(PAGES.length + 1);
      if (!name.includes('.') && !name.startsWith('assets/')) return index();
      const file = await build?.read(name, encodingsOf(headers['accept-encoding']));
      if (file === undefined) return name.startsWith('assets/') ? textResponse(404, '404 page not found\n') : index();
      return {
        status: 200,
        headers: {
          'content-type': file.contentType,
          'cache-control': file.hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
          vary: 'Accept-Encoding',
          ...(file.encoding !== undefined && { 'content-encoding': file.encoding }),
          ...SECURITY_HEADERS,
        },
        body: file.bytes,
      };
    }),
  ];
}

/** Page files run nothing and are framed by nobody. */
const SECURITY_HEADERS = {
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** The page for one answer: what it may load is bound to a nonce that no other answer has. */
function indexPage(html: string, prefix: string): HttpResponse {
  const nonce = Buffer.from(systemBytes(NONCE_BYTES)).toString('base64');
  const head = `<head>\n<base href="${escaped(prefix)}/">\n<meta name="nonce" content="${nonce}">`;
  const body = html.replace('<head>', head).replaceAll('="./', `="${escaped(prefix)}${PAGES}/`);
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': policyFor(nonce),
      ...SECURITY_HEADERS,
    },
    body,
  };
}

function policyFor(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The encodings that a client takes, the smallest first. */
function encodingsOf(header: string | string[] | undefined): Encoding[] {
  const taken = String(header ?? '')
    .toLowerCase()
    .split(',')
    .map((part) => part.split(';').map((piece) => piece.trim()))
    .filter(([, ...params]) => !params.some((param) => /^q=0(\.0*)?$/.test(param)))
    .map(([name]) => name);
  return (['br', 'gzip'] as const).filter((each) => taken.includes(each));
}
