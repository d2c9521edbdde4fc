import { defaultLimits } from './budget.ts';
import { bytesOf } from './bytes.ts';
import { Templates } from './templates.ts';
import { pointer, pointerTo, STRING, struct, type Type } from './value.ts';

const DATA: Type = {
  kind: 'struct',
  name: 'struct { ExternalURL string; Expression string }',
  fields: [
    { name: 'ExternalURL', type: STRING },
    { name: 'Expression', type: STRING },
  ],
};
const NAME = 'generator_url';
/** Bounds of one expansion: it is made for each rule that has alerts to send. */
const LIMITS = {
  ...defaultLimits,
  stepsMax: 100_000,
  durationMsMax: 100,
  outputBytesMax: 64 << 10,
  textBytesMax: 16 << 10,
};

/** The template of the addresses that alerts link to, with `.ExternalURL` and `.Expression`. */
export class GeneratorUrlTemplate {
  readonly #templates: Templates;

  private constructor(templates: Templates) {
    this.#templates = templates;
  }

  /** @throws TemplateError where it cannot be parsed, or asks for something else */
  static parse(text: string): GeneratorUrlTemplate {
    const options = { functions: new Map(), missingKey: 'zero' as const, limits: LIMITS, nowMs: () => 0 };
    const template = new GeneratorUrlTemplate(Templates.of(options).with(NAME, text));
    template.url('http://localhost', 'up');
    return template;
  }

  /** @throws TemplateError */
  url(externalUrl: string, expression: string): string {
    const data = pointer(struct(DATA, [bytesOf(externalUrl), bytesOf(expression)]), pointerTo(DATA));
    return this.#templates.text(NAME, data).trim();
  }
}
