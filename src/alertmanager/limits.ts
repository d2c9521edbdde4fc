import type { TenantLimits } from '../limits/limits.ts';

/** Limits of a tenant, as far as they concern the Alertmanager. 0 is no limit. */
export interface AlertmanagerLimits {
  readonly configBytesMax: number;
  readonly templatesMax: number;
  readonly templateBytesMax: number;
  readonly groupsMax: number;
  readonly alertsMax: number;
  readonly alertsBytesMax: number;
  readonly alertLabelsMax: number;
  readonly alertBytesMax: number;
  readonly silencesMax: number;
  readonly silenceBytesMax: number;
  /** Notifications a second of each integration. */
  readonly notificationRate: number;
  readonly notificationRatePerIntegration: ReadonlyMap<string, number>;
  readonly firewallBlocksPrivate: boolean;
  readonly firewallNetworks: readonly string[];
}

/** The part of a tenant's limits that goes to the Alertmanager's thread. */
export function alertmanagerLimitsOf(limits: TenantLimits): AlertmanagerLimits {
  const rates = Object.entries(limits.alertmanagerNotificationRateLimitPerIntegration);
  return {
    configBytesMax: limits.alertmanagerMaxConfigSizeBytes,
    templatesMax: limits.alertmanagerMaxTemplatesCount,
    templateBytesMax: limits.alertmanagerMaxTemplateSizeBytes,
    groupsMax: limits.alertmanagerMaxDispatcherAggregationGroups,
    alertsMax: limits.alertmanagerMaxAlertsCount,
    alertsBytesMax: limits.alertmanagerMaxAlertsSizeBytes,
    alertLabelsMax: limits.alertmanagerMaxAlertLabels,
    alertBytesMax: limits.alertmanagerMaxAlertSizeBytes,
    silencesMax: limits.alertmanagerMaxSilencesCount,
    silenceBytesMax: limits.alertmanagerMaxSilencesSizeBytes,
    notificationRate: limits.alertmanagerNotificationRateLimit,
    notificationRatePerIntegration: new Map(rates.map(([kind, rate]) => [kind, rateOf(rate)])),
    firewallBlocksPrivate: limits.alertmanagerReceiversFirewallBlockPrivateAddresses,
    firewallNetworks: limits.alertmanagerReceiversFirewallBlockCidrNetworks,
  };
}

/** A text that is no rate lets nothing pass: better than everything. */
function rateOf(text: string): number {
  const rate = Number(text);
  return Number.isFinite(rate) && rate >= 0 ? rate : Number.MIN_VALUE;
}
