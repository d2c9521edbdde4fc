// Receivers of each kind as the recorder has the real Alertmanager send by them, and the answers of their services.

/** Stands for the address of the service. */
export const BASE = 'http://service.invalid';

export interface RecordedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ReceiverVector {
  readonly kind: string;
  readonly alerts: readonly PostedAlert[];
  /** The reason that the data of templates has. */
  readonly reason: string;
  readonly requests: readonly RecordedRequest[];
}

export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
}

export const EXTERNAL_URL = 'http://alerts.example.com';

/** Fields of each kind, in the flow form of YAML. */
export const RECEIVERS: Readonly<Record<string, string>> = {
  webhook: `url: '${BASE}/hook?x=1', max_alerts: 1, http_config: { authorization: { credentials: SECRET } }`,
  slack: `api_url: '${BASE}/slack', channel: '#alerts', send_resolved: true, fields: [{ title: Severity, value: '{{ .CommonLabels.severity }}' }], actions: [{ type: button, text: Open, url: '{{ .ExternalURL }}' }]`,
  pagerduty: `url: '${BASE}/v2/enqueue', routing_key: SECRET, details: { own: '{{ .CommonLabels.alertname }}' }`,
  opsgenie: `api_url: '${BASE}/', api_key: SECRET, responders: [{ name: platform, type: team }], tags: 'a,b', priority: P2, note: hello`,
  msteamsv2: `webhook_url: '${BASE}/teams'`,
  msteams: `webhook_url: '${BASE}/office'`,
  discord: `webhook_url: '${BASE}/discord'`,
  telegram: `api_url: '${BASE}', bot_token: SECRET, chat_id: -100200300`,
  victorops: `api_url: '${BASE}/victorops/', api_key: SECRET, routing_key: platform, custom_fields: { team: '{{ .CommonLabels.severity }}' }`,
  webex: `api_url: '${BASE}/webex', room_id: room, http_config: { authorization: { credentials: SECRET } }`,
  wechat: `api_url: '${BASE}/', api_secret: SECRET, corp_id: corporation, to_party: '1', send_resolved: true`,
  rocketchat: `api_url: '${BASE}/', token_id: SECRET, token: SECRET, channel: '#alerts'`,
  mattermost: `webhook_url: '${BASE}/hooks/SECRET', channel: alerts`,
  incidentio: `url: '${BASE}/incident', alert_source_token: SECRET`,
  sns: `api_url: '${BASE}', topic_arn: 'arn:aws:sns:eu-west-1:123456789012:alerts', sigv4: { region: eu-west-1, access_key: KEY, secret_key: SECRET }, attributes: { severity: '{{ .CommonLabels.severity }}' }`,
  jira: `api_url: '${BASE}/rest/api/2/', project: OPS, issue_type: Bug, labels: [x], resolve_transition: Done, http_config: { basic_auth: { username: me, password: SECRET } }`,
  pushover: `user_key: SECRET, token: SECRET`,
};

const ISSUE = { key: 'OPS-1', fields: { status: { name: 'Open', statusCategory: { key: 'new' } } } };

/** The answer of a service. @param resolved whether an issue is there already */
export function answerTo(kind: string, method: string, path: string, resolved: boolean): object {
  switch (kind) {
    case 'telegram':
      return { ok: true, result: { message_id: 1, date: 1, chat: { id: 1, type: 'group' } } };
    case 'slack':
      return { ok: true };
    case 'rocketchat':
      return { success: true };
    case 'wechat':
      return { access_token: 't', errcode: 0, errmsg: 'ok', expires_in: 7200 };
    case 'jira':
      if (path.includes('/search')) return { issues: resolved ? [ISSUE] : [] };
      if (path.includes('/transitions') && method === 'GET') return { transitions: [{ id: '7', name: 'Done' }] };
      return { id: '1', key: 'OPS-1' };
    case 'pagerduty':
      return { status: 'success', dedup_key: 'x' };
    default:
      return {};
  }
}
