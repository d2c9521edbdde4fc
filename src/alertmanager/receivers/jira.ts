import type { Node } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import {
  duration,
  type Field,
  optionalFlag,
  readFields,
  type Tree,
  text,
  texts,
  tree,
  url,
  type Values,
} from '../fields/field.ts';
import type { Reading } from '../fields/reading.ts';
import { receiverKind, type WithHttp } from './kind.ts';
import {
  cutRunes,
  expander,
  failed,
  goJson,
  type Notification,
  NotifyError,
  sent,
  type Verdict,
  verdictOf,
} from './notification.ts';
import { withSlash } from './opsgenie.ts';
import { expandedTree } from './webhook.ts';

const summaryRunesMax = 255;
const descriptionRunesMax = 32_767;

interface Updatable {
  readonly template: string;
  readonly updates: boolean;
}

/** A template, or a mapping with one that may be kept from updates. */
function updatable(template: string): Field<Updatable> {
  return {
    initial: { template, updates: true },
    read(reading: Reading, node: Node | null) {
      if (reading.yaml.isScalar(node)) return { template: reading.yaml.string(node), updates: true };
      const fields = { template: text(template), enable_update: optionalFlag };
      const given = readFields(reading, node, 'jira.plain', fields);
      return { template: given.template, updates: given.enable_update ?? true };
    },
  };
}

const fieldsTree: Field<Readonly<Record<string, Tree>>> = {
  initial: {},
  read(reading, node) {
    const given = tree.read(reading, node) ?? {};
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new ConfigError('fields in jira_config must be a mapping');
    }
    return given as Readonly<Record<string, Tree>>;
  },
};

const FIELDS = {
  api_url: url,
  api_type: text('auto'),
  project: text(),
  summary: updatable('{{ template "jira.default.summary" . }}'),
  description: updatable('{{ template "jira.default.description" . }}'),
  labels: texts,
  priority: text('{{ template "jira.default.priority" . }}'),
  issue_type: text(),
  reopen_transition: text(),
  resolve_transition: text(),
  wont_fix_resolution: text(),
  reopen_duration: duration(0),
  fields: fieldsTree,
};

type Config = Values<typeof FIELDS> & WithHttp & { readonly base: string };

/** Issues of Jira, one for each group. */
export const jira = receiverKind({
  kind: 'jira',
  type: 'jira',
  sendsResolved: true,
  whenMissing: 'jira',
  fields: FIELDS,
  check(values) {
    if (values.project === '') throw new ConfigError('missing project in jira_config');
    if (values.issue_type === '') throw new ConfigError('missing issue_type in jira_config');
    if (!['auto', 'cloud', 'datacenter'].includes(values.api_type)) {
      throw new ConfigError('unknown api_type on jira_config, must be auto, cloud or datacenter');
    }
  },
  complete(values, global): Config {
    const target = values.api_url ?? global.jira_api_url;
    if (target === undefined) throw new ConfigError('no global Jira Cloud URL set');
    return { ...values, base: withSlash(target) };
  },
  async notify(config, notification): Promise<Verdict> {
    try {
      return await told(config, notification);
    } catch (thrown) {
      if (thrown instanceof Refusal) return thrown.verdict;
      if (thrown instanceof NotifyError) return failed(thrown.message, { retries: false });
      throw thrown;
    }
  },
});

/** An answer of the API that ends the notification. */
class Refusal extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super('refused');
    this.verdict = verdict;
  }
}

interface Issue {
  readonly key: string;
  readonly isDone: boolean;
}

async function told(config: Config, notification: Notification): Promise<Verdict> {
  const isFiring = notification.data.status === 'firing';
  const issue = await existing(config, notification, isFiring);
  if (issue === undefined) {
    if (isFiring)
      await ask(config, notification, 'POST', `${config.base}issue`, { fields: issueOf(config, notification, true) });
    return sent;
  }
  const path = `${config.base}issue/${encodeURIComponent(issue.key)}`;
  await ask(config, notification, 'PUT', path, { fields: issueOf(config, notification, false) });
  const transition = isFiring ? config.reopen_transition : config.resolve_transition;
  if (transition === '' || issue.isDone !== isFiring) return sent;
  const { transitions } = (await ask(config, notification, 'GET', `${path}/transitions`)) as {
    readonly transitions?: readonly { readonly id: string; readonly name: string }[];
  };
  const id = transitions?.find(({ name }) => name === transition)?.id;
  if (id === undefined) throw new NotifyError(`can't find transition ${transition} for issue ${issue.key}`);
  await ask(config, notification, 'POST', `${path}/transitions`, { transition: { id } });
  return sent;
}

async function existing(config: Config, notification: Notification, isFiring: boolean): Promise<Issue | undefined> {
  const { wont_fix_resolution: wontFix } = config;
  const reopenMinutes = Math.floor(config.reopen_duration / 60_000);
  const canReopen = isFiring && config.reopen_transition !== '' && reopenMinutes > 0;
  const project = expander(notification)(config.project);
  const jql = [
    wontFix === '' ? '' : `(resolution is EMPTY or resolution != ${quoteGo(wontFix)}) and `,
    canReopen
      ? `(resolutiondate is EMPTY OR resolutiondate >= -${reopenMinutes}m) and `
      : 'statusCategory != Done and ',
    `project=${quoteGo(project)} and labels=${quoteGo(labelOf(notification))} order by status ASC,resolutiondate DESC`,
  ].join('');
  const isCloud =
    config.api_type === 'cloud' || (config.api_type === 'auto' && new URL(config.base).host.endsWith('atlassian.net'));
  const path = isCloud ? `${config.base}search/jql`.replace('/rest/api/2/', '/rest/api/3/') : `${config.base}search`;
  const { issues } = (await ask(config, notification, 'POST', path, { fields: ['status'], jql, maxResults: 2 })) as {
    readonly issues?: readonly {
      readonly key?: unknown;
      readonly fields?: { readonly status?: { readonly statusCategory?: { readonly key?: unknown } } };
    }[];
  };
  const [first] = issues ?? [];
  if (typeof first?.key !== 'string') return undefined;
  return { key: first.key, isDone: first.fields?.status?.statusCategory?.key === 'done' };
}

function labelOf({ groupHash }: Notification): string {
  return `ALERT{${groupHash}}`;
}

function issueOf(config: Config, notification: Notification, isNew: boolean): object {
  const expand = expander(notification);
  const priority = expand(config.priority);
  const own = Object.entries(config.fields).map(([name, value]) => [name, expandedTree(value, expand)]);
  return {
    ...(isNew || config.summary.updates ? { summary: cutRunes(expand(config.summary.template), summaryRunesMax) } : {}),
    ...(isNew || config.description.updates ? { description: descriptionOf(config, expand) } : {}),
    issuetype: { name: expand(config.issue_type) },
    labels: [...config.labels.map(expand), labelOf(notification)].sort(),
    ...(priority === '' ? {} : { priority: { name: priority } }),
    project: { key: expand(config.project) },
    ...Object.fromEntries(own),
  };
}

/** Version 3 of the API wants a document in JSON. */
function descriptionOf(config: Config, expand: (template: string) => string): unknown {
  const description = cutRunes(expand(config.description.template), descriptionRunesMax);
  if (!config.base.endsWith('/3/')) return description === '' ? undefined : description;
  if (description.trim() === '') return undefined;
  try {
    return JSON.parse(description);
  } catch {
    throw new NotifyError('description template: invalid JSON for API v3');
  }
}

async function ask(
  { http }: Config,
  notification: Notification,
  method: 'GET' | 'POST' | 'PUT',
  to: string,
  body?: object,
): Promise<object> {
  const headers = { 'content-type': 'application/json', 'accept-language': 'en' };
  const sentBody = body === undefined ? {} : { body: goJson(body) };
  const answer = await notification.http.send(
    { method, url: to, headers, config: http, ...sentBody },
    notification.signal,
  );
  const verdict = verdictOf(answer, notification.nowMs, [429]);
  if (verdict.kind !== 'sent') throw new Refusal(verdict);
  try {
    const value: unknown = answer.body === '' ? {} : JSON.parse(answer.body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    throw new NotifyError('the answer of Jira is no JSON');
  }
}
