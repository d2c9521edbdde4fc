import type { AlertmanagerMember } from '../contract/alertmanager.ts';
import type { ApiRequest } from '../contract/api.ts';
import type { PostedAlert } from '../contract/rules.ts';
import type { RpcRole } from '../kit/rpc/role.ts';
import { tenantOf } from './requests.ts';
import { fieldsOf, listOf, numberOf, textOf, wrongShape } from './shapes.ts';

const TEXT_CHARS_MAX = 4 * 1024 * 1024;
const PARAMS_MAX = 100_000;
const ALERTS_MAX = 1_000_000;
const PAIRS_MAX = 100_000;

/** Methods by which Alertmanagers ask each other; `RemoteAlertmanager` is the other end. */
export function alertmanagerRole(member: AlertmanagerMember): RpcRole {
  return {
    async alertmanagerHandle({ head, body }, { signal }) {
      const { hasBody, ...request } = requestOf(head);
      // whoever answers may keep it, and others' requests lie there later
      const given = hasBody ? { ...request, body: Uint8Array.from(body) } : request;
      const { status, contentType, headers = {}, body: answered } = await member.handle(given, signal);
      return { head: { status, contentType, headers }, body: answered };
    },
    async alertmanagerPost({ head, body }, { signal }) {
      const { tenant } = fieldsOf(head, 'alertmanagerPost');
      await member.post(tenantOf(tenant), alertsOf(body), signal);
      return {};
    },
    async alertmanagerRelease({ head }, { signal }) {
      const { tenant } = fieldsOf(head, 'alertmanagerRelease');
      await member.release(tenantOf(tenant), signal);
      return {};
    },
  };
}

function requestOf(head: unknown): ApiRequest & { readonly hasBody: boolean } {
  const { tenant, method, path, params, user, hasBody } = fieldsOf(head, 'alertmanagerHandle');
  return {
    tenant: tenantOf(tenant),
    method: textOf(method, 'method', 16),
    path: textOf(path, 'path', TEXT_CHARS_MAX),
    params: listOf(params, 'params', PARAMS_MAX, (param) => {
      const [name, value] = listOf(param, 'param', 2, (part) => textOf(part, 'param', TEXT_CHARS_MAX));
      if (name === undefined || value === undefined) throw wrongShape('param');
      return [name, value] as const;
    }),
    user: textOf(user, 'user', TEXT_CHARS_MAX),
    hasBody: hasBody === true,
  };
}

function alertsOf(body: Uint8Array): readonly PostedAlert[] {
  let given: unknown;
  try {
    given = JSON.parse(Buffer.from(body).toString());
  } catch {
    throw wrongShape('alerts');
  }
  const pairs = (value: unknown) => {
    const texts = listOf(value, 'pairs', PAIRS_MAX, (text) => textOf(text, 'pairs', TEXT_CHARS_MAX));
    if (texts.length % 2 === 1) throw wrongShape('pairs');
    return texts;
  };
  return listOf(given, 'alerts', ALERTS_MAX, (each) => {
    const { labels, annotations, startsAtMs, endsAtMs, generatorUrl } = fieldsOf(each, 'alert');
    return {
      labels: pairs(labels),
      annotations: pairs(annotations),
      startsAtMs: numberOf(startsAtMs, 'startsAtMs'),
      endsAtMs: numberOf(endsAtMs, 'endsAtMs'),
      generatorUrl: textOf(generatorUrl, 'generatorUrl', TEXT_CHARS_MAX),
    };
  });
}
