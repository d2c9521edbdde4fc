import type { Node } from 'yaml';
import type { YamlReader } from '../../yaml/reader.ts';
import { ConfigError } from './config-error.ts';

/** Mappings and values of a configuration, those of aliases counted where they stand. */
const entriesMax = 100_000;

/** A configuration while it is read. */
export class Reading {
  readonly yaml: YamlReader;
  /** Places in the text where secrets stand, as [start, end) of UTF-16 units. */
  readonly secrets: (readonly [start: number, end: number])[] = [];
  /** Their values. */
  readonly secretTexts = new Set<string>();
  #entries = 0;

  constructor(yaml: YamlReader) {
    this.yaml = yaml;
  }

  hide(node: Node | null): void {
    const range = this.yaml.resolved(node)?.range;
    if (range) this.secrets.push([range[0], range[1]]);
    const text = this.yaml.isScalar(node) ? this.yaml.string(node) : '';
    if (text !== '') this.secretTexts.add(text);
  }

  /** @throws ConfigError */
  count(): void {
    if (++this.#entries > entriesMax) {
      throw new ConfigError(`limit of ${entriesMax} entries exceeded (alertmanager_config_entries_max)`);
    }
  }
}
