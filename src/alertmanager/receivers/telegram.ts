import { ConfigError } from '../fields/config-error.ts';
import { flag, goDuration, integer, noFile, secret, text, url } from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { cutRunes, expander, failed, reasonOf, request, sent, type Verdict } from './notification.ts';

const messageRunesMax = 4096;
const messageBytesMax = 1 << 15;
const TOO_LONG = `Alertmanager notification could not be sent: message length exceeds Telegram limits.
			Please check the template used for producing the message content.`;

/** Messages of a bot. */
export const telegram = receiverKind({
  kind: 'telegram',
  type: 'telegram',
  sendsResolved: true,
  whenMissing: 'telegram',
  fields: {
    api_url: url,
    bot_token: secret,
    bot_token_file: noFile('bot_token_file'),
    chat_id: integer(),
    chat_id_file: noFile('chat_id_file'),
    message_thread_id: integer(),
    message: text('{{ template "telegram.default.message" . }}'),
    disable_notifications: flag(),
    parse_mode: text('HTML'),
    timeout: goDuration(),
  },
  check(values) {
    if (values.chat_id === 0) throw new ConfigError('missing chat_id or chat_id_file on telegram_config');
    if (!['', 'Markdown', 'MarkdownV2', 'HTML'].includes(values.parse_mode)) {
      throw new ConfigError(
        'unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string',
      );
    }
  },
  complete(values, global) {
    const token = values.bot_token === '' ? global.telegram_bot_token : values.bot_token;
    if (token === '') throw new ConfigError('missing bot_token or bot_token_file on telegram_config');
    return { ...values, token, base: (values.api_url ?? global.telegram_api_url).href.replace(/\/$/, '') };
  },
  async notify(config, notification): Promise<Verdict> {
    const isHtml = config.parse_mode === 'HTML';
    const html = () => {
      const message = notification.templates.html(config.message, notification.data);
      return Buffer.byteLength(message) > messageBytesMax || textRunes(message) > messageRunesMax ? TOO_LONG : message;
    };
    const message = isHtml ? html() : cutRunes(expander(notification)(config.message), messageRunesMax);
    const body = {
      chat_id: String(config.chat_id),
      disable_notification: config.disable_notifications ? 'true' : undefined,
      disable_web_page_preview: 'true',
      message_thread_id: config.message_thread_id === 0 ? undefined : String(config.message_thread_id),
      parse_mode: config.parse_mode === '' ? undefined : config.parse_mode,
      text: message,
    };
    const answer = await request(notification, {
      url: `${config.base}/bot${config.token}/sendMessage`,
      body,
      config: config.http,
      timeoutMs: config.timeout,
    });
    return verdictOf(answer.status, answer.body);
  },
});

/** Characters outside of tags; an entity is one. */
function textRunes(message: string): number {
  const plain = message
    .replace(/<\/?[a-zA-Z][^<>]*>/g, '')
    .replace(/&(?:lt|gt|amp|quot|#\d{1,7}|#x[\da-fA-F]{1,6});?/g, '_');
  return [...plain].length;
}

/** Telegram says in the body what went wrong. All of it is tried again, as the Alertmanager does. */
function verdictOf(status: number, body: string): Verdict {
  let answer: { ok?: unknown; description?: unknown } = {};
  try {
    answer = JSON.parse(body);
  } catch {}
  if (answer.ok === true) return sent;
  const text = `telegram: ${typeof answer.description === 'string' ? answer.description : 'no answer of the API'} (${status})`;
  return failed(text, { retries: true, reason: reasonOf(status) });
}
