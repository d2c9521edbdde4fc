import { ConfigError } from '../fields/config-error.ts';
import { flag, listOf, noFile, readFields, secret, text, textMap, url, type Values } from '../fields/field.ts';
import { receiverKind, type WithHttp } from './kind.ts';
import { cutRunes, expander, type Notification, orNothing, post, sent, type Verdict } from './notification.ts';

const messageRunesMax = 130;
const RESPONDER_TYPES = '^(team|teams|user|escalation|schedule)$';

const RESPONDER = { id: text(), name: text(), username: text(), type: text() };

const FIELDS = {
  api_key: secret,
  api_key_file: noFile('api_key_file'),
  api_url: url,
  message: text('{{ template "opsgenie.default.message" . }}'),
  description: text('{{ template "opsgenie.default.description" . }}'),
  source: text('{{ template "opsgenie.default.source" . }}'),
  details: textMap,
  entity: text(),
  responders: listOf(
    (reading, node) => readFields(reading, node, 'opsgenie.OpsGenieConfigResponder', RESPONDER),
    'opsgenie.OpsGenieConfigResponder',
  ),
  actions: text(),
  tags: text(),
  note: text(),
  priority: text(),
  update_alerts: flag(),
};

type Config = Values<typeof FIELDS> & WithHttp & { readonly base: string; readonly key: string };

/** Alerts of OpsGenie, by the group's hash as their alias. */
export const opsgenie = receiverKind({
  kind: 'opsgenie',
  type: 'opsgenie',
  sendsResolved: true,
  fields: FIELDS,
  check({ responders }) {
    for (const { id, name, username, type } of responders) {
      const shown = `{${id} ${name} ${username} ${type}}`;
      if (id === '' && name === '' && username === '') {
        throw new ConfigError(
          `opsGenieConfig responder ${shown} has to have at least one of id, username or name specified`,
        );
      }
      if (!type.includes('{{') && !new RegExp(RESPONDER_TYPES).test(type.toLowerCase())) {
        throw new ConfigError(`opsGenieConfig responder ${shown} type does not match valid options ${RESPONDER_TYPES}`);
      }
    }
  },
  complete(values, global): Config {
    const key = values.api_key === '' ? global.opsgenie_api_key : values.api_key;
    if (key === '') throw new ConfigError('no global OpsGenie API Key set either inline or in a file');
    return { ...values, key, base: withSlash(values.api_url ?? global.opsgenie_api_url) };
  },
  async notify(config, notification) {
    const expand = expander(notification);
    for (const { method, path, body } of requestsOf(config, notification, expand)) {
      const verdict: Verdict = await post(notification, {
        method,
        url: config.base + path,
        body,
        config: config.http,
        headers: { authorization: `GenieKey ${headerText(expand(config.key))}` },
        retryStatuses: [429],
      });
      if (verdict.kind !== 'sent') return verdict;
    }
    return sent;
  },
});

/** Without what ends a header. */
function headerText(value: string): string {
  return value.replace(/[\r\n\0]/g, '').trim();
}

export function withSlash({ href }: URL): string {
  return href.endsWith('/') ? href : `${href}/`;
}

interface OpsGenieRequest {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly body: object;
}

function requestsOf(
  config: Config,
  { groupHash: alias, data }: Notification,
  expand: (template: string) => string,
): OpsGenieRequest[] {
  const byAlias = (what: string) => `v2/alerts/${alias}/${what}?identifierType=alias`;
  if (data.status === 'resolved') {
    return [{ method: 'POST', path: byAlias('close'), body: { source: expand(config.source) } }];
  }
  const some = (value: string) => orNothing(expand(value));
  const [tags, actions] = [config.tags, config.actions].map((list) => parts(expand(list)));
  const details = new Map(data.commonLabels);
  for (const [name, value] of config.details) details.set(name, expand(value));
  const responders = config.responders.flatMap((given) => respondersOf(given, expand));
  const message = cutRunes(expand(config.message), messageRunesMax);
  const description = some(config.description);
  const created = {
    alias,
    message,
    description,
    details: Object.fromEntries([...details].sort(([a], [b]) => (a < b ? -1 : 1))),
    source: expand(config.source),
    responders: responders.length > 0 ? responders : undefined,
    tags: tags!.length > 0 ? tags : undefined,
    note: some(config.note),
    priority: some(config.priority),
    entity: some(config.entity),
    actions: actions!.length > 0 ? actions : undefined,
  };
  const requests: OpsGenieRequest[] = [{ method: 'POST', path: 'v2/alerts', body: created }];
  if (config.update_alerts) {
    requests.push({ method: 'PUT', path: byAlias('message'), body: { message: orNothing(message) } });
    requests.push({ method: 'PUT', path: byAlias('description'), body: { description } });
  }
  return requests;
}

function respondersOf(given: Config['responders'][number], expand: (template: string) => string): object[] {
  const [id, name, username] = [given.id, given.name, given.username].map((value) => orNothing(expand(value)));
  const type = expand(given.type).toLowerCase();
  if (id === undefined && name === undefined && username === undefined && type === '') return [];
  if (type === 'teams') return parts(name ?? '').map((team) => ({ name: team, type: 'team' }));
  return [{ id, name, username, type }];
}

function parts(list: string): string[] {
  return list
    .trim()
    .split(',')
    .filter((part) => part !== '');
}
