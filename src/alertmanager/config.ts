import { duration, text } from '../kit/config/field.ts';
import { section } from '../kit/config/section.ts';

export const alertmanagerConfig = section('alertmanager', 'Alertmanager', {
  fallbackConfigFile: text({
    flag: 'alertmanager.configs.fallback',
    help: 'File with the configuration of tenants that have none of their own, in the Alertmanager’s format. Without one their alerts are kept and shown, and nobody is told. Read again with the other files (SIGHUP).',
  }),
  pollIntervalMs: duration({
    default: '15s',
    min: '1s',
    flag: 'alertmanager.configs.poll-interval',
    help: 'How often to look for configurations that another process has changed.',
  }),
  externalUrl: text({
    flag: 'alertmanager.web.external-url',
    help: 'Address under which users reach the Alertmanager: it stands in notifications. Without one: /alertmanager below the HTTP listener’s.',
  }),
});

export type AlertmanagerSettings = typeof alertmanagerConfig.type;
