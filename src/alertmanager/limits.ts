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
