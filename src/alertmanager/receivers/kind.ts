import type { Node } from 'yaml';
import { ConfigError } from '../fields/config-error.ts';
import { type Fields, flag, readFields, type Values } from '../fields/field.ts';
import { type HttpConfig, httpConfig } from '../fields/http-config.ts';
import type { Reading } from '../fields/reading.ts';
import type { GlobalConfig } from './global.ts';
import type { Notification, Verdict } from './notification.ts';

/** One way by which a receiver is told. */
export interface Integration {
  /** `webhook`, `email`, … */
  readonly kind: string;
  readonly sendsResolved: boolean;
  /** @throws TemplateError */
  notify(notification: Notification): Promise<Verdict>;
}

/** A kind of receiver: how its configuration is read, and what it sends. */
export interface ReceiverKind {
  /** The list's name in a receiver: `webhook_configs`. */
  readonly field: string;
  /** The type that Go's errors name. */
  readonly type: string;
  /** Settings that are not given come from the global part, once that is read. @throws ConfigError */
  read(reading: Reading, node: Node | null): (global: GlobalConfig) => Integration;
}

/** The requests' settings, and whether they are the receiver's own. */
export interface WithHttp {
  readonly http: HttpConfig;
  readonly hasHttp: boolean;
}

interface Definition<F extends Fields, Config> {
  readonly kind: string;
  readonly type: string;
  readonly sendsResolved: boolean;
  readonly fields: F;
  /** Checks the fields among themselves. @throws ConfigError */
  readonly check?: (values: Values<F>) => void;
  /** The name in `missing … config`; undefined: an entry that is null is one without fields. */
  readonly whenMissing?: string;
  /** With the global part. @throws ConfigError */
  readonly complete: (values: Values<F> & WithHttp, global: GlobalConfig) => Config;
  readonly notify: (config: Config, notification: Notification) => Promise<Verdict>;
}

export function receiverKind<F extends Fields, Config>(definition: Definition<F, Config>): ReceiverKind {
  const { kind, fields, check, whenMissing, complete, notify } = definition;
  const all = { ...fields, send_resolved: flag(definition.sendsResolved), http_config: httpConfig };
  return {
    field: `${kind}_configs`,
    type: definition.type,
    read(reading, node) {
      if (reading.yaml.isNothing(node) && whenMissing !== undefined) {
        throw new ConfigError(`missing ${whenMissing} config`);
      }
      const values = readFields(reading, node, `${definition.type}.plain`, all, check as never);
      return (global) => {
        const http = values.http_config as HttpConfig | undefined;
        const given = {
          ...(values as unknown as Values<F>),
          http: http ?? global.http_config,
          hasHttp: http !== undefined,
        };
        const config = complete(given, global);
        const sendsResolved = values.send_resolved as boolean;
        return { kind, sendsResolved, notify: (notification) => notify(config, notification) };
      };
    },
  };
}

/** @throws ConfigError unless just one of two is given */
export function exactlyOne(values: Readonly<Record<string, unknown>>, name: string): void {
  if (values[name] === undefined || values[name] === '') {
    throw new ConfigError(`one of ${name} or ${name}_file must be configured`);
  }
}
