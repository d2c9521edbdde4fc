import { formatDuration } from '../../kit/config/units.ts';
import type { App } from '../app.ts';
import { escaped, htmlPage } from './html.ts';

const LINKS: readonly (readonly [path: string, what: string])[] = [
  ['/ready', 'whether this process can serve'],
  ['/services', 'its services and their states'],
  ['/metrics', 'its own metrics'],
  ['/config', 'its configuration, secrets masked'],
  ['/config?mode=diff', 'what differs from the defaults'],
  ['/runtime_config', 'limits of single tenants'],
  ['/api/v1/status/buildinfo', 'version'],
  ['/api/v1/labels', 'names of labels'],
  ['/api/v1/metadata', 'types and help of metrics'],
];

/** The page at `/`: what runs here, and where things are. */
export function homePage(app: App, notReady: readonly string[]): string {
  const { config, version, http, clock, startTimeMs } = app;
  const served = new Set(http.routes.map(({ path }) => path));
  const prefix = config.server.httpPathPrefix.replace(/\/$/, '');
  const links = LINKS.filter(([path]) => served.has(path.split('?')[0]!));
  const uptimeMs = Math.floor((clock.nowMs() - startTimeMs) / 1000) * 1000;
  const ready = notReady.length === 0;
  const style = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.75rem; margin: 0; letter-spacing: -0.02em; }
h2 { font-size: 1rem; margin: 2.5rem 0 0.5rem; }
p { margin: 0.25rem 0; color: var(--soft); }
.state { display: inline-block; margin-left: 0.75rem; padding: 0.1rem 0.6rem; border-radius: 1rem; font-size: 0.8rem; vertical-align: middle; color: #fff; background: ${ready ? '#2b7a4b' : '#a15c00'}; }
dl { display: grid; grid-template-columns: minmax(12rem, max-content) 1fr; margin: 0; }
dt, dd { margin: 0; padding: 0.4rem 0; border-top: 1px solid var(--line); }
dd { color: var(--soft); }
code, a { font: 0.9rem ui-monospace, monospace; }
a { color: inherit; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid var(--line); border-radius: 0.5rem; font: 0.85rem/1.5 ui-monospace, monospace; }`;
  const body = `<h1>Pallium<span class="state">${ready ? 'ready' : 'not ready'}</span></h1>
<p>Long-term storage for Prometheus metrics. Version ${escaped(version)}, target ${escaped(config.process.target.join(', '))}, up ${formatDuration(uptimeMs)}.</p>
${notReady.map((reason) => `<p>${escaped(reason)}</p>`).join('\n')}
<h2>Here</h2>
<dl>
${links.map(([path, what]) => `<dt><a href="${escaped(prefix + path)}">${escaped(path)}</a></dt><dd>${escaped(what)}</dd>`).join('\n')}
</dl>
${served.has('/api/v1/push') ? connectSection(http.url) : ''}`;
  return htmlPage({ title: 'Pallium', style, body });
}

function connectSection(url: string): string {
  return `<h2>Send from Prometheus</h2>
<pre>remote_write:
  - url: ${escaped(url)}/api/v1/push</pre>
<h2>Read with Grafana</h2>
<p>Add a data source of type Prometheus with the address <code>${escaped(url)}</code>. With several tenants, add the header <code>X-Scope-OrgID</code>.</p>`;
}
