import { Budget, type TemplateLimits } from './budget.ts';
import { COMPARISONS_AND_MORE } from './builtins.ts';
import { type Bytes, bytesOf, textOf } from './bytes.ts';
import { execute, type MissingKey } from './exec.ts';
import { escapeTemplates } from './html/escape.ts';
import { ESCAPERS } from './html/escapers.ts';
import { isEmptyList, type Tree } from './node.ts';
import { parseTemplate, TemplateError } from './parser.ts';
import { quote } from './quote.ts';
import type { Func, Value } from './value.ts';

export interface TemplateOptions {
  readonly functions: ReadonlyMap<string, Func>;
  readonly missingKey: MissingKey;
  readonly limits: TemplateLimits;
  readonly nowMs: () => number;
}

/** Parsed templates that call each other by name. Immutable: adding some makes a new set. */
export class Templates {
  readonly #options: TemplateOptions;
  readonly #trees: ReadonlyMap<Bytes, Tree>;

  private constructor(options: TemplateOptions, trees: ReadonlyMap<Bytes, Tree>) {
    this.#options = options;
    this.#trees = trees;
  }

  static of(options: TemplateOptions): Templates {
    return new Templates(options, new Map());
  }

  /**
   * With the templates of a text: its own, and those it defines. One of the same name is replaced, unless the new one
   * is empty.
   * @throws TemplateError
   */
  with(name: string, text: string): Templates {
    const { functions, limits } = this.#options;
    const bytes = bytesOf(text);
    if (bytes.length > limits.textBytesMax) {
      const limit = `limit of ${limits.textBytesMax} bytes exceeded (template_text_bytes_max)`;
      throw new TemplateError(`template: ${name}: text of ${bytes.length} bytes: ${limit}`);
    }
    const hasFunction = (called: string) => functions.has(called) || COMPARISONS_AND_MORE.has(called);
    const trees = new Map(this.#trees);
    for (const [defined, tree] of parseTemplate(bytesOf(name), bytes, hasFunction, limits.nestingMax)) {
      if (!trees.has(defined) || !isEmptyList(tree.root)) trees.set(defined, tree);
    }
    return new Templates(this.#options, trees);
  }

  /** With other functions of the same names, for one execution: those that know its data; and its clock. */
  withFunctions(functions: ReadonlyMap<string, Func>, nowMs = this.#options.nowMs): Templates {
    const all = new Map([...this.#options.functions, ...functions]);
    return new Templates({ ...this.#options, functions: all, nowMs }, this.#trees);
  }

  has(name: string): boolean {
    return this.#trees.has(bytesOf(name));
  }

  /**
   * The output as text.
   * @throws TemplateError
   */
  text(name: string, data: Value, budget = this.budget()): string {
    return this.#run(name, this.#trees, this.#options.functions, data, budget);
  }

  /**
   * The output as HTML, each value escaped for where it stands.
   * @throws TemplateError
   */
  html(name: string, data: Value, budget = this.budget()): string {
    const root = bytesOf(name);
    if (!this.#trees.has(root)) throw new TemplateError(`html/template: ${textOf(quote(root))} is undefined`);
    const trees = escapeTemplates(this.#trees, root, budget);
    return this.#run(name, trees, new Map([...this.#options.functions, ...ESCAPERS]), data, budget);
  }

  /** A budget of what one execution may take; several may share it. */
  budget(): Budget {
    return new Budget(this.#options.limits, this.#options.nowMs);
  }

  #run(
    name: string,
    trees: ReadonlyMap<Bytes, Tree>,
    functions: ReadonlyMap<string, Func>,
    data: Value,
    budget: Budget,
  ): string {
    const tree = trees.get(bytesOf(name));
    if (tree === undefined) {
      const quoted = textOf(quote(bytesOf(name)));
      throw new TemplateError(`template: no template ${quoted} associated with template ${quoted}`);
    }
    const { missingKey } = this.#options;
    return textOf(execute({ lookup: (called) => trees.get(called), functions, missingKey }, tree, data, budget));
  }
}
