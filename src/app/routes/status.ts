import { buildInfoOf } from '../../api/status.ts';
import { showConfig } from '../../kit/config/show.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { htmlResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import { exposeMetrics } from '../../kit/observe/metrics.ts';
import { maskSecrets } from '../../lib/mask.ts';
import { showOverrides } from '../../limits/overrides.ts';
import type { App } from '../app.ts';
import { sections } from '../config.ts';
import { reload } from '../reload.ts';
import { homePage } from './home.ts';
import { LINKS } from './web.ts';

const YAML = { 'content-type': 'text/yaml; charset=utf-8' };

/** Routes that every process serves, whatever its target. */
export function statusRoutes(app: App): Route[] {
  const get = (path: string, handle: Route['handle'], more: Partial<Route> = {}): Route => ({
    path,
    methods: ['GET'],
    needs: 'admin',
    early: true,
    handle,
    ...more,
  });
  const notReady = () => app.services?.notReady() ?? ['starting'];
  const ready = (text: string) =>
    notReady().length === 0 ? textResponse(200, text) : textResponse(503, lines(notReady()));
  const { protectMetrics } = app.config.auth;
  const prefix = app.config.server.prometheusHttpPrefix.replace(/\/$/, '');
  // whoever is given the address of the API looks for these below it
  const below = [...new Set(['', prefix])].flatMap((at) => [
    get(`${at}/`, () => htmlResponse(homePage(app, notReady())), { needs: 'read' }),
    get(`${at}/-/healthy`, () => textResponse(200, 'Prometheus Server is Healthy.\n'), { needs: 'nothing' }),
    get(`${at}/-/ready`, () => ready('Prometheus Server is Ready.\n'), { needs: 'nothing' }),
    get(`${at}/version`, () => jsonResponse(buildInfoOf(app.version)), { needs: 'read' }),
    get(
      `${at}/metrics`,
      async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: await exposeMetrics(app.registry, app.metricSources),
      }),
      { needs: protectMetrics ? 'admin' : 'nothing' },
    ),
  ]);
  return [
    ...below,
    ...(prefix === '' ? [] : [get(prefix, () => htmlResponse(homePage(app, notReady())), { needs: 'read' })]),
    get(LINKS, () => htmlResponse(homePage(app, notReady())), { needs: 'read' }),
    get('/ready', () => ready('ready\n'), { needs: 'nothing' }),
    get('/config', ({ query }) => {
      const mode = AddressParams.of(query).get('mode') ?? 'all';
      if (mode !== 'all' && mode !== 'diff' && mode !== 'defaults')
        return textResponse(400, 'mode is diff or defaults\n');
      return textResponse(200, showConfig(sections, { ...app.config, limits: app.limits.defaults }, mode), YAML);
    }),
    get('/runtime_config', () => textResponse(200, maskSecrets(showOverrides(app.limits.overrides)), YAML)),
    get('/services', () =>
      textResponse(200, lines((app.services?.states ?? []).map(([name, state]) => `${name}: ${state}`))),
    ),
    lifecycle('/-/reload', async () => {
      const problems = await reload(app);
      if (problems.length === 0) return textResponse(200, '');
      return textResponse(500, `failed to reload config: ${problems.join('; ')}\n`);
    }),
    lifecycle('/-/quit', () => textResponse(403, 'Lifecycle API is not enabled.')),
  ];
}

/** Prometheus can be told over HTTP to read its files again and to end; to end, here signals say. */
function lifecycle(path: string, handle: () => ReturnType<Route['handle']>): Route {
  return {
    path,
    methods: ['GET', 'POST', 'PUT'],
    needs: 'admin',
    handle: ({ method }) =>
      method === 'GET' || method === 'HEAD'
        ? textResponse(405, 'Only POST or PUT requests allowed', { allow: 'POST, PUT' })
        : handle(),
  };
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
