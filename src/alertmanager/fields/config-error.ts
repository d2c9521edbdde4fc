/** Why a configuration is refused. The text is the Alertmanager's where it has one. */
export class ConfigError extends Error {}
