import { createHash } from 'node:crypto';
import { aListOf, aRecordOf, aText, expected } from '../kit/config/record.ts';
import { goLowerCase, goUpperCase } from '../lib/go-case.ts';
import { Labels } from '../model/labels.ts';
import { RegexSyntaxError } from '../model/regex/regex.ts';
import { CapturingRegex, parseTemplate, type RegexTemplate } from '../model/regex/template.ts';

/** One step of relabelling, as it stands in a file: Prometheus' `relabel_config`. */
const DEFAULTS = { separator: ';', regex: '(.*)', replacement: '$1', action: 'replace' } as const;
const ACTIONS = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const;
type Action = (typeof ACTIONS)[number];

const steps = aListOf(
  aRecordOf({
    source_labels: aListOf(aText(1)),
    separator: aText(),
    // YAML takes some regular expressions for numbers
    regex: expected('a text', (value) => ['string', 'number', 'boolean'].includes(typeof value)),
    modulus: expected('a whole number', (value) => Number.isSafeInteger(value) && (value as number) >= 0),
    target_label: aText(),
    replacement: aText(),
    action: expected(`one of ${ACTIONS.join(', ')}`, (value) =>
      ACTIONS.includes(String(value).toLowerCase() as Action),
    ),
  }),
);

interface StepFile {
  readonly source_labels: readonly string[] | undefined;
  readonly separator: string;
  readonly regex: string;
  readonly modulus: number;
  readonly target_label: string;
  readonly replacement: string;
  readonly action: Action;
}

/** A target label with groups in it, as far as that can be judged before they are filled in. */
const TARGET = /^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$/;

/** Changes label sets, or drops them. Source of the rules: Prometheus `model/relabel/relabel.go`. */
export class Relabelling {
  static readonly none = new Relabelling([], []);

  /** As it stood in the file. */
  readonly file: unknown;
  readonly #steps: readonly Step[];

  private constructor(file: unknown, steps: readonly Step[]) {
    this.file = file;
    this.#steps = steps;
  }

  /** Reads a list of `relabel_config`. @throws RangeError with what is wrong, and in which step */
  static parse(value: unknown): Relabelling {
    const wrong = steps(value);
    if (wrong !== undefined) throw new RangeError(wrong);
    return new Relabelling(
      value,
      (value as Partial<StepFile>[]).map((step, i) => {
        try {
          return compile(completed(step));
        } catch (thrown) {
          if (thrown instanceof RangeError || thrown instanceof RegexSyntaxError)
            throw new RangeError(`step ${i + 1}: ${thrown.message}`);
          throw thrown;
        }
      }),
    );
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** The new labels, or undefined where the series is dropped. */
  apply(labels: Labels): Labels | undefined {
    let now: Labels | undefined = labels;
    for (const step of this.#steps) {
      now = relabel(step, now);
      if (now === undefined) return undefined;
    }
    return now;
  }
}

interface Step {
  readonly action: Action;
  readonly sources: readonly string[];
  readonly separator: string;
  readonly regex: CapturingRegex;
  readonly modulus: bigint;
  readonly target: string;
  readonly targetTemplate: RegexTemplate;
  readonly replacement: RegexTemplate;
}

function completed(step: Partial<StepFile>): StepFile {
  return {
    source_labels: step.source_labels,
    separator: step.separator ?? DEFAULTS.separator,
    regex: String(step.regex ?? DEFAULTS.regex),
    modulus: step.modulus ?? 0,
    target_label: step.target_label ?? '',
    replacement: step.replacement ?? DEFAULTS.replacement,
    action: (step.action?.toLowerCase() ?? DEFAULTS.action) as Action,
  };
}

function compile(step: StepFile): Step {
  const { action, target_label: target, replacement } = step;
  const sets = ['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal'].includes(action);
  if (action === 'hashmod' && step.modulus === 0) throw new RangeError('hashmod requires a modulus above 0');
  if (sets && target === '') throw new RangeError(`${action} requires target_label`);
  const templated = action === 'replace' && target.includes('$');
  if (sets && (templated ? !TARGET.test(target) : !isLabelName(target))) {
    throw new RangeError(`${JSON.stringify(target)} is no target_label for ${action}`);
  }
  if (action === 'labelmap' && !TARGET.test(replacement)) {
    throw new RangeError(`${JSON.stringify(replacement)} is no replacement for labelmap`);
  }
  const changed = (...names: (keyof typeof DEFAULTS)[]) => names.filter((name) => step[name] !== DEFAULTS[name]);
  const foreign: string[] = [];
  if (action === 'lowercase' || action === 'uppercase') foreign.push(...changed('replacement'));
  if (action === 'keepequal' || action === 'dropequal') foreign.push(...changed('regex', 'separator', 'replacement'));
  if (action === 'labeldrop' || action === 'labelkeep') {
    foreign.push(...changed('separator', 'replacement'));
    if (step.source_labels !== undefined) foreign.push('source_labels');
    if (target !== '') foreign.push('target_label');
  }
  if (step.modulus !== 0 && action !== 'hashmod' && (foreign.length > 0 || action.startsWith('label')))
    foreign.push('modulus');
  if (foreign.length > 0) throw new RangeError(`${action} takes no ${foreign.join(', ')}`);
  const targetTemplate = parseTemplate(target);
  const filledIn = parseTemplate(replacement);
  // the others only ask whether it matches
  const templates = action === 'replace' ? [targetTemplate, filledIn] : action === 'labelmap' ? [filledIn] : [];
  return {
    action,
    sources: step.source_labels ?? [],
    separator: step.separator,
    regex: CapturingRegex.compile(step.regex, templates),
    modulus: BigInt(step.modulus),
    target,
    targetTemplate,
    replacement: filledIn,
  };
}

function relabel(step: Step, labels: Labels): Labels | undefined {
  const { action, regex, target } = step;
  const value = step.sources.map((name) => labels.get(name)).join(step.separator);
  switch (action) {
    case 'keep':
      return regex.matches(value) ? labels : undefined;
    case 'drop':
      return regex.matches(value) ? undefined : labels;
    case 'keepequal':
      return labels.get(target) === value ? labels : undefined;
    case 'dropequal':
      return labels.get(target) === value ? undefined : labels;
    case 'replace': {
      const filled = regex.expand(value, [step.targetTemplate, step.replacement]);
      if (filled === undefined || !isLabelName(filled[0]!)) return labels;
      return labels.with(filled[0]!, filled[1]!);
    }
    case 'lowercase':
      return labels.with(target, goLowerCase(value));
    case 'uppercase':
      return labels.with(target, goUpperCase(value));
    case 'hashmod':
      return labels.with(target, String(createHash('md5').update(value).digest().readBigUInt64BE(8) % step.modulus));
    case 'labelmap': {
      let next = labels;
      for (const [name, its] of labels) {
        const filled = regex.expand(name, [step.replacement]);
        if (filled !== undefined) next = next.with(filled[0]!, its);
      }
      return next;
    }
    case 'labeldrop':
      return Labels.fromEntries([...labels].filter(([name]) => !regex.matches(name)));
    case 'labelkeep':
      return Labels.fromEntries([...labels].filter(([name]) => regex.matches(name)));
  }
}

function isLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed();
}
