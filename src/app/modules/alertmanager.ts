import { readFileSync } from 'node:fs';
import { CONFIG_KIND } from '../../contract/alertmanager.ts';
import { type App, part } from '../app.ts';
import { alertmanagerRoutes } from '../routes/alertmanager.ts';
import { storeSpec } from '../store-spec.ts';
import { AlertmanagerThread } from '../threads/alertmanager-thread.ts';
import type { Module } from './module.ts';

/** Tells receivers of alerts. */
export const alertmanagerModule: Module = {
  needs: ['observer', 'limits', 'data-folder', 'store-peers'],
  target: 'Groups alerts, silences them, and tells receivers.',
  async build(app) {
    const readFallback = await fallbackOf(app);
    const { config, limits, log, clock, http, version, loops, metricSources } = app;
    const alertmanager = new AlertmanagerThread({
      data: { store: storeSpec(config, part(app, 'hold')), config: config.alertmanager, version, log: config.log },
      externalUrl: () => config.alertmanager.externalUrl || `${http.url}/alertmanager`,
      readFallback,
      async isNeeded(signal) {
        const { documentTenants } = app.parts;
        return (
          config.alertmanager.fallbackConfigFile !== '' ||
          documentTenants === undefined ||
          (await documentTenants(CONFIG_KIND, signal)).length > 0
        );
      },
      limits,
      // at once in place of within a minute
      ownersMoved: () => void app.parts.ruler?.resend().catch(() => {}),
      peers: app.parts.peers,
      log,
      clock,
    });
    app.parts.alertmanager = alertmanager;
    metricSources.push(() => alertmanager.metrics());
    loops.addSources(() => [{ name: 'alertmanager', states: (signal) => alertmanager.loops(signal) }]);
    http.add(alertmanagerRoutes(alertmanager, config.server));
    return [alertmanager];
  },
};

/** Reads the fallback. It throws where the file cannot be read or is wrong: who names one wants it in force. */
async function fallbackOf({ config, clock }: App): Promise<() => string | undefined> {
  const file = config.alertmanager.fallbackConfigFile;
  if (file === '') return () => undefined;
  // nothing else in the main thread reads configurations
  const { checkedConfig } = await import('../../alertmanager/config/document.ts');
  return () => {
    try {
      const text = readFileSync(file, 'utf8');
      checkedConfig({ templates: new Map(), config: text }, () => clock.nowMs());
      return text;
    } catch (cause) {
      throw new Error(`-alertmanager.configs.fallback ${file}: ${(cause as Error).message}`, { cause });
    }
  };
}
