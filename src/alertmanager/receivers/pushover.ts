import { ConfigError } from '../fields/config-error.ts';
import { flag, goDuration, noFile, secret, text } from '../fields/field.ts';
import { exactlyOne, receiverKind } from './kind.ts';
import { cutRunes, expander, verdictOf } from './notification.ts';

const apiUrl = 'https://api.pushover.net/1/messages.json';
const titleRunesMax = 250;
const messageRunesMax = 1024;
const urlRunesMax = 512;

/** Messages to devices of Pushover. */
export const pushover = receiverKind({
  kind: 'pushover',
  type: 'pushover',
  sendsResolved: true,
  whenMissing: 'pushover',
  fields: {
    user_key: secret,
    user_key_file: noFile('user_key_file'),
    token: secret,
    token_file: noFile('token_file'),
    title: text('{{ template "pushover.default.title" . }}'),
    message: text('{{ template "pushover.default.message" . }}'),
    url: text('{{ template "pushover.default.url" . }}'),
    url_title: text(),
    device: text(),
    sound: text(),
    priority: text('{{ if eq .Status "firing" }}2{{ else }}0{{ end }}'),
    retry: goDuration(60_000),
    expire: goDuration(3_600_000),
    ttl: goDuration(),
    html: flag(),
    monospace: flag(),
  },
  check(values) {
    exactlyOne(values, 'user_key');
    exactlyOne(values, 'token');
    if (values.html && values.monospace) throw new ConfigError('at most one of monospace & html must be configured');
  },
  complete: (values) => values,
  async notify(config, notification) {
    const expand = expander(notification);
    const seconds = (ms: number) => String(Math.floor(ms / 1000));
    const message = config.html
      ? notification.templates.html(config.message, notification.data)
      : expand(config.message);
    const params = new Map([
      ['token', expand(config.token)],
      ['user', expand(config.user_key)],
      ['title', cutRunes(expand(config.title), titleRunesMax)],
      ['message', cutRunes(message, messageRunesMax).trim() || '(no details)'],
      ['url', cutRunes(expand(config.url), urlRunesMax)],
      ['url_title', expand(config.url_title)],
      ['priority', expand(config.priority)],
      ['retry', seconds(config.retry)],
      ['expire', seconds(config.expire)],
      ['device', expand(config.device)],
      ['sound', expand(config.sound)],
    ]);
    if (config.html) params.set('html', '1');
    if (config.monospace) params.set('monospace', '1');
    if (config.ttl >= 1000) params.set('ttl', seconds(config.ttl));
    const query = new URLSearchParams([...params].sort(([a], [b]) => (a < b ? -1 : 1)));
    const answer = await notification.http.send(
      {
        method: 'POST',
        url: `${apiUrl}?${query}`,
        headers: { 'content-type': 'text/plain' },
        body: '',
        config: config.http,
      },
      notification.signal,
    );
    return verdictOf(answer, notification.nowMs);
  },
});
