import { readFileSync } from 'node:fs';
import { text as textField, toggle } from './field.ts';
import { expandEnv, readFile } from './file.ts';
import { readFlags } from './flags.ts';
import { ConfigError } from './problem.ts';
import { type ConfigOf, type Sections, section, settingsOf } from './section.ts';

/** The flags that say how configuration is read, and what else a command line may ask for. */
export const commandLine = section('', 'Command line', {
  configFile: textField({ flag: 'config.file', help: 'YAML file with configuration. Flags override what it says.' }),
  expandEnv: toggle({
    default: false,
    flag: 'config.expand-env',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what stands in the file
    help: 'Replace ${NAME} and ${NAME:default} in the file by the environment.',
  }),
  help: toggle({ default: false, flag: 'help', help: 'Print the flags and end.' }),
  version: toggle({ default: false, flag: 'version', help: 'Print the version and end.' }),
  modules: toggle({ default: false, flag: 'modules', help: 'Print what -target may name and end.' }),
});

export interface LoadedConfig<S extends Sections> {
  readonly command: typeof commandLine.type;
  readonly values: ConfigOf<S>;
  /** Arguments that are no flags. */
  readonly words: readonly string[];
}

/** Where configuration comes from; a parameter, so that tests need neither files nor environment. */
export interface ConfigSources {
  readonly args: readonly string[];
  /** Arguments that are no flags are taken; else they are refused. */
  readonly takesWords?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws where it cannot. */
  readonly readText?: (file: string) => string;
}

/**
 * Joins defaults, file and flags (later ones win).
 * @throws ConfigError with every problem found
 */
export function loadConfig<const S extends Sections>(sections: S, from: ConfigSources): LoadedConfig<S> {
  const settings = settingsOf(sections);
  const commands = settingsOf({ command: commandLine });
  const flags = readFlags(from.args, [...commands, ...settings], from.takesWords);
  const problems = [...flags.problems];

  const fromFlags = (of: typeof settings) => {
    const values = new Map<string, unknown>();
    for (const { flag, field, section: sectionKey, name } of of) {
      const texts = flag === undefined ? undefined : flags.values.get(flag);
      if (texts === undefined) continue;
      try {
        values.set(`${sectionKey}.${name}`, field.parse(texts.join(',')));
      } catch (thrown) {
        problems.push(`-${flag}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      }
    }
    return values;
  };

  const commandValues = fromFlags(commands);
  const command = Object.fromEntries(
    commands.map(({ name, field }) => [name, commandValues.get(`command.${name}`) ?? field.default]),
  ) as typeof commandLine.type;
  const flagValues = fromFlags(settings);

  let fileValues: ReadonlyMap<string, unknown> = new Map();
  if (command.configFile !== '') {
    try {
      const readText = from.readText ?? ((file: string) => readFileSync(file, 'utf8'));
      const raw = readText(command.configFile);
      const read = readFile(command.expandEnv ? expandEnv(raw, from.env) : raw, command.configFile, settings);
      fileValues = read.values;
      problems.push(...read.problems);
    } catch (thrown) {
      problems.push(`-config.file: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);

  const values: Record<string, Record<string, unknown>> = {};
  for (const { section: sectionKey, name, path, field } of settings) {
    values[sectionKey] ??= {};
    const flagKey = `${sectionKey}.${name}`;
    values[sectionKey][name] = flagValues.has(flagKey)
      ? flagValues.get(flagKey)
      : fileValues.has(path)
        ? fileValues.get(path)
        : field.default;
  }
  return { command, values: values as ConfigOf<S>, words: flags.words };
}
