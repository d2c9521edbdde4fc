import { isMap, parseDocument, stringify } from 'yaml';
import type { NotificationTemplates } from '../../template/alertmanager.ts';
import { isNestedTooDeep, NESTING_MAX } from '../../yaml/nesting.ts';
import { ConfigError } from '../fields/config-error.ts';
import type { AlertmanagerLimits } from '../limits.ts';
import { loadTemplates } from '../templates/load.ts';
import { type AlertmanagerConfig, loadConfig } from './load.ts';

/** A tenant's configuration as it is put: `{template_files: {name: text}, alertmanager_config: text}`. */
export interface ConfigDocument {
  readonly templates: ReadonlyMap<string, string>;
  readonly config: string;
}

/** A configuration with its templates, checked. */
export interface ConfigInForce {
  readonly config: AlertmanagerConfig;
  readonly templates: NotificationTemplates;
}

/** The text is Cortex'. */
export class DocumentError extends Error {}

const textLengthMax = 16 << 20;

/** @throws DocumentError */
export function parseConfigDocument(text: string, limits: AlertmanagerLimits): ConfigDocument {
  const bytes = Buffer.byteLength(text);
  const limit = limits.configBytesMax;
  if ((limit > 0 && bytes > limit) || text.length > textLengthMax) {
    throw new DocumentError(
      `Alertmanager configuration is too big, limit: ${limit} bytes (alertmanager_max_config_size_bytes)`,
    );
  }
  if (isNestedTooDeep(text)) {
    throw new DocumentError(`error unmarshalling Alertmanager config: yaml: exceeded max depth of ${NESTING_MAX}`);
  }
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined)
    throw new DocumentError(`error unmarshalling Alertmanager config: ${firstLine(error.message)}`);
  const given: unknown = isMap(document.contents) ? document.toJS({ maxAliasCount: 100 }) : undefined;
  const { template_files: files, alertmanager_config: config } = (given ?? {}) as Record<string, unknown>;
  if (typeof config !== 'string' || config.trim() === '') {
    throw new DocumentError(
      "error validating Alertmanager config: configuration provided is empty, if you'd like to remove your configuration please use the delete configuration endpoint",
    );
  }
  const templates = new Map<string, string>();
  for (const [name, content] of Object.entries((files ?? {}) as Record<string, unknown>)) {
    if (typeof content !== 'string')
      throw new DocumentError(`error unmarshalling Alertmanager config: template ${name} is no text`);
    templates.set(name, content);
  }
  checkTemplates(templates, limits);
  return { templates, config };
}

function checkTemplates(
  templates: ReadonlyMap<string, string>,
  { templatesMax, templateBytesMax }: AlertmanagerLimits,
): void {
  const invalid = (problem: string) => new DocumentError(`error validating Alertmanager config: ${problem}`);
  if (templatesMax > 0 && templates.size > templatesMax) {
    throw invalid(
      `too many templates in the configuration: ${templates.size} (limit: ${templatesMax}, alertmanager_max_templates_count)`,
    );
  }
  for (const [name, content] of templates) {
    if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name) || name.length > 256) {
      throw invalid(
        `invalid template name ${JSON.stringify(name.slice(0, 256))}: the template name cannot contain any path`,
      );
    }
    const bytes = Buffer.byteLength(content);
    if (templateBytesMax > 0 && bytes > templateBytesMax) {
      throw invalid(
        `template ${name} is too big: ${bytes} bytes (limit: ${templateBytesMax} bytes, alertmanager_max_template_size_bytes)`,
      );
    }
  }
}

/** @throws DocumentError */
export function checkedConfig({ templates, config }: ConfigDocument, nowMs: () => number): ConfigInForce {
  try {
    const loaded = loadConfig(config);
    return { config: loaded, templates: loadTemplates(templates, loaded.templates, nowMs) };
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    throw new DocumentError(`error validating Alertmanager config: ${thrown.message}`);
  }
}

export function configDocumentText({ templates, config }: ConfigDocument): string {
  return stringify({ template_files: Object.fromEntries(templates), alertmanager_config: config }, { lineWidth: 0 });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.slice(0, 500);
}
