import type { ServerConfig } from '../../kit/http/config.ts';
import { AddressParams } from '../../kit/http/form.ts';
import { type HttpRequest, type HttpResponse, jsonResponse, type Route, textResponse } from '../../kit/http/message.ts';
import type { TenantLimits } from '../../limits/limits.ts';
import type { RuleConfigLimits } from '../../ruler/rule-config.ts';
import { apiPrefixes, tenantRoute } from '../plain-routes/tenant-route.ts';
import type { RuleConfigAnswer, RuleConfigRequest } from '../threads/ruler-role.ts';

/** The configuration of rules, as routes need it. */
export interface RuleConfigBackend {
  config(request: RuleConfigRequest, signal: AbortSignal): Promise<RuleConfigAnswer>;
}

export interface RuleRoutesOptions {
  readonly ruler: RuleConfigBackend;
  readonly limits: (tenant: string) => TenantLimits;
  readonly config: ServerConfig;
}

const NEEDS = { GET: 'read', POST: 'edit', DELETE: 'edit' } as const;

/**
 * The configuration of rules in the form of Cortex and Mimir: `config/v1/rules` at the root, under the Prometheus prefix and under
 * `/api/prom`, the same as `rules`, which is where Grafana looks; namespaces and groups of Cortex' `/api/v1/rules`.
 */
export function ruleRoutes(options: RuleRoutesOptions): Route[] {
  const { config, ruler } = options;
  const bases = apiPrefixes(config).flatMap((prefix) => [`${prefix}/config/v1/rules`, `${prefix}/rules`]);
  const route = (path: string, methods: Route['methods'], handle: Route['handle']): Route =>
    tenantRoute(config, { path, methods, needs: NEEDS, handle });
  const ofNamespaces = (base: string) => [
    route(`${base}/:namespace`, ['GET', 'POST', 'DELETE'], (request) => onNamespace(options, request)),
    route(`${base}/:namespace/:group`, ['GET', 'DELETE'], (request) => onGroup(ruler, request)),
  ];
  const ofVersions = (base: string) => [
    route(`${base}/:namespace/:group/versions`, ['GET'], (request) => onVersions(ruler, request)),
    route(`${base}/:namespace/:group/versions/:version`, ['GET'], (request) => onVersion(ruler, request)),
    route(`${base}/:namespace/:group/versions/:version/restore`, ['POST'], (request) => onRestore(options, request)),
  ];
  return [
    ...apiPrefixes(config).flatMap((prefix) => ofVersions(`${prefix}/config/v1/rules`)),
    ...[...bases, '/cortex/api/v1/rules'].map((base) =>
      route(base, ['GET'], ({ tenant, signal }) => listed(ruler, { tenant }, signal)),
    ),
    ...[...bases, '/api/v1/rules', '/cortex/api/v1/rules'].flatMap(ofNamespaces),
    {
      path: '/ruler/rule_groups',
      methods: ['GET'],
      needs: 'admin',
      handle: async ({ signal }) => yamlOr404(await ruler.config({ kind: 'listAll' }, signal), NO_GROUPS),
    },
    {
      path: '/ruler/delete_tenant_config',
      methods: ['POST'],
      needs: 'edit',
      tenant: 'one',
      head: false,
      async handle({ tenant, user = '', signal }) {
        await ruler.config({ kind: 'remove', tenant, user }, signal);
        return { status: 200 };
      },
    },
  ];
}

const NO_GROUPS = 'no rule groups found';
const NO_GROUP = 'group does not exist';
const NO_VERSION = 'version does not exist';

async function onNamespace({ ruler, limits }: RuleRoutesOptions, request: HttpRequest): Promise<HttpResponse> {
  const { method, tenant, user = '', signal } = request;
  const namespace = request.params?.namespace ?? '';
  const wrong = nameFault('namespace', namespace);
  if (wrong !== undefined) return wrong;
  if (method === 'GET') return listed(ruler, { tenant, namespace }, signal);
  if (method === 'DELETE') {
    const { found } = await ruler.config({ kind: 'remove', tenant, namespace, user }, signal);
    return found ? accepted() : textResponse(404, `${NO_GROUPS}\n`);
  }
  const text = Buffer.from(request.body).toString();
  const params = AddressParams.of(request.query);
  const dryRun = params.get('dry_run') === 'true';
  const version = params.get('version');
  if (version !== null && !/^\d{1,15}$/.test(version)) {
    return textResponse(400, `invalid version ${JSON.stringify(version)}\n`);
  }
  const expected = version === null ? {} : { expected: Number(version) };
  const own = configLimits(limits(tenant));
  const asked = { kind: 'put', tenant, namespace, text, user, limits: own, dryRun, ...expected } as const;
  const answer = await ruler.config(asked, signal);
  if (!dryRun) return accepted();
  return { status: 200, headers: { 'content-type': 'application/json' }, body: answer.text };
}

function configLimits(limits: TenantLimits): RuleConfigLimits {
  const { rulerMaxRulesPerRuleGroup, rulerMaxRuleGroupsPerTenant, rulerMinRuleEvaluationIntervalMs } = limits;
  return { rulerMaxRulesPerRuleGroup, rulerMaxRuleGroupsPerTenant, rulerMinRuleEvaluationIntervalMs };
}

async function onVersions(ruler: RuleConfigBackend, request: HttpRequest): Promise<HttpResponse> {
  const { tenant, signal } = request;
  const { namespace = '', group = '' } = request.params ?? {};
  const { found, text } = await ruler.config({ kind: 'versions', tenant, namespace, group }, signal);
  if (!found) return textResponse(404, `${NO_GROUP}\n`);
  return { status: 200, headers: { 'content-type': 'application/json' }, body: text };
}

async function onVersion(ruler: RuleConfigBackend, request: HttpRequest): Promise<HttpResponse> {
  return yamlOr404(await versionOf(ruler, request), NO_VERSION);
}

/** A version is put again, as if it had been sent. */
async function onRestore({ ruler, limits }: RuleRoutesOptions, request: HttpRequest): Promise<HttpResponse> {
  const { tenant, user = '', signal } = request;
  const { namespace = '' } = request.params ?? {};
  const { found, text } = await versionOf(ruler, request);
  if (!found) return textResponse(404, `${NO_VERSION}\n`);
  const own = configLimits(limits(tenant));
  await ruler.config({ kind: 'put', tenant, namespace, text, user, limits: own, dryRun: false }, signal);
  return accepted();
}

async function versionOf(ruler: RuleConfigBackend, request: HttpRequest): Promise<RuleConfigAnswer> {
  const { namespace = '', group = '', version = '' } = request.params ?? {};
  if (!/^\d{1,15}$/.test(version)) return { found: false, text: '' };
  const asked = { kind: 'version', tenant: request.tenant, namespace, group, number: Number(version) } as const;
  return ruler.config(asked, request.signal);
}

async function onGroup(ruler: RuleConfigBackend, request: HttpRequest): Promise<HttpResponse> {
  const { method, tenant, user = '', signal } = request;
  const { namespace = '', group = '' } = request.params ?? {};
  const wrong = nameFault('namespace', namespace) ?? nameFault('group', group);
  if (wrong !== undefined) return wrong;
  if (method === 'GET') {
    return yamlOr404(await ruler.config({ kind: 'list', tenant, namespace, group }, signal), NO_GROUP);
  }
  const { found } = await ruler.config({ kind: 'remove', tenant, namespace, group, user }, signal);
  return found ? accepted() : textResponse(404, `${NO_GROUP}\n`);
}

async function listed(
  ruler: RuleConfigBackend,
  of: { readonly tenant: string; readonly namespace?: string },
  signal: AbortSignal,
): Promise<HttpResponse> {
  return yamlOr404(await ruler.config({ kind: 'list', ...of }, signal), NO_GROUPS);
}

function yamlOr404({ found, text }: RuleConfigAnswer, otherwise: string): HttpResponse {
  if (!found) return textResponse(404, `${otherwise}\n`);
  return { status: 200, headers: { 'content-type': 'application/yaml' }, body: text };
}

function accepted(): HttpResponse {
  return jsonResponse({ status: 'success' }, { status: 202 });
}

/** A name that would be a folder's, or no text. */
function nameFault(what: string, name: string): HttpResponse | undefined {
  if (name !== '' && name !== '.' && name !== '..' && name.isWellFormed()) return undefined;
  return textResponse(400, `invalid ${what} ${JSON.stringify(name)}\n`);
}
