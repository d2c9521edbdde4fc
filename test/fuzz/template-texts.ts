import type { Random } from '../../src/lib/random.ts';

/** Random templates over the data of template-data.ts: mostly right, some wrong in a way that shows where. */
export class TemplateTexts {
  readonly #random: Random;
  /** Variables in sight. */
  #variables: string[] = [];
  #depth = 0;
  #defined = 0;
  /** The number of the outermost definition around this place. */
  #defining = Infinity;
  readonly #recursion: boolean;

  constructor(random: Random, options: { readonly recursion: boolean }) {
    this.#random = random;
    this.#recursion = options.recursion;
  }

  text(): string {
    this.#begin();
    return this.#list(() => this.#pick(TEXTS));
  }

  html(): string {
    this.#begin();
    return this.#list(() => this.#markup());
  }

  /** With pieces cut out, doubled, swapped, and bits of syntax put in. */
  mutated(text: string): string {
    let mutated = text;
    for (let i = this.#below(4); i >= 0; i--) {
      const at = this.#below(mutated.length + 1);
      const length = this.#below(12);
      switch (this.#below(4)) {
        case 0:
          mutated = mutated.slice(0, at) + mutated.slice(at + length);
          break;
        case 1:
          mutated = mutated.slice(0, at + length) + mutated.slice(at);
          break;
        default:
          mutated = mutated.slice(0, at) + this.#pick(SCRAPS) + mutated.slice(at);
      }
    }
    return mutated;
  }

  #begin(): void {
    this.#variables = [];
    this.#depth = 0;
    this.#defined = 0;
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #list(plain: () => string): string {
    let list = '';
    const mark = this.#variables.length;
    for (let i = this.#below(this.#depth === 0 ? 8 : 4); i >= 0; i--) {
      list += this.#chance(0.45) ? plain() : this.#statement(plain);
    }
    this.#variables.length = mark;
    return list;
  }

  #action(inner: string): string {
    const [left, right] = [this.#chance(0.1) ? '{{- ' : '{{', this.#chance(0.1) ? ' -}}' : '}}'];
    return `${left}${inner}${right}`;
  }

  #statement(plain: () => string): string {
    if (this.#depth > 3) return this.#action(this.#pipeline());
    this.#depth++;
    const statement = this.#anyStatement(plain);
    this.#depth--;
    return statement;
  }

  #anyStatement(plain: () => string): string {
    const list = () => this.#list(plain);
    const end = this.#action('end');
    const otherwise = () => (this.#chance(0.4) ? `${this.#action('else')}${list()}` : '');
    switch (this.#below(14)) {
      case 0: {
        const more = this.#chance(0.3) ? `${this.#action(`else if ${this.#pipeline()}`)}${list()}` : '';
        return `${this.#action(`if ${this.#pipeline()}`)}${list()}${more}${otherwise()}${end}`;
      }
      case 1:
        return `${this.#action(`with ${this.#declaration()}${this.#pipeline()}`)}${list()}${otherwise()}${end}`;
      case 2:
      case 3: {
        const mark = this.#variables.length;
        const over = this.#chance(0.85) ? this.#pick(LISTS) : this.#pipeline();
        let variables = this.#declaration();
        if (variables !== '' && this.#chance(0.6)) {
          this.#variables.push('$i');
          variables = `$i, ${variables}`;
        }
        const jump = this.#chance(0.3) ? this.#jump() : '';
        const body = `${list()}${jump}${list()}`;
        this.#variables.length = mark;
        return `${this.#action(`range ${variables}${over}`)}${body}${otherwise()}${end}`;
      }
      case 4: {
        const name = `d${this.#defined++}`;
        const outer = this.#variables;
        this.#variables = [];
        const kind = this.#chance(0.5) ? 'define' : 'block';
        const data = ` ${this.#pick(['.', '.', '.First', '.Any', '$'])}`;
        const outerDefining = this.#defining;
        this.#defining = Math.min(this.#defining, this.#defined - 1);
        const body = list();
        this.#defining = outerDefining;
        this.#variables = outer;
        if (kind === 'block') return `${this.#action(`block "${name}"${data}`)}${body}${end}`;
        if (this.#depth > 1) return this.#action(this.#pipeline());
        return `${this.#action(`define "${name}"`)}${body}${end}${this.#action(`template "${name}"${data}`)}`;
      }
      case 5: {
        const declaration = this.#declaration() || '$v := ';
        const pipeline = this.#pipeline();
        this.#variables.push('$v');
        return this.#action(`${declaration}${pipeline}`);
      }
      case 6:
        if (this.#variables.length === 0) return this.#action('/* comment */');
        return this.#action(`${this.#pick(this.#variables)} = ${this.#pipeline()}`);
      case 7:
        return this.#chance(0.2) ? this.#jump() : this.#call();
      default:
        return this.#action(this.#pipeline());
    }
  }

  #call(): string {
    const end = this.#recursion ? 3 : Math.min(3, this.#defining);
    if (end === 0) return this.#action('"no call"');
    const callee = this.#below(end);
    return this.#action(callee < this.#defined || this.#chance(0.3) ? `template "d${callee}" .` : '"no call"');
  }

  #jump(): string {
    const jump = this.#action(this.#pick(['break', 'continue']));
    return this.#chance(0.7) ? `${this.#action(`if ${this.#pipeline()}`)}${jump}${this.#action('end')}` : jump;
  }

  #declaration(): string {
    if (this.#chance(0.5)) return '';
    const name = this.#pick(['$x', '$y', '$z']);
    this.#variables.push(name);
    return `${name} := `;
  }

  #pipeline(): string {
    let pipeline = this.#command();
    while (this.#chance(0.25)) pipeline += ` | ${this.#filter()}`;
    return pipeline;
  }

  #filter(): string {
    return this.#pick([
      'html',
      'js',
      'urlquery',
      'len',
      'not',
      'print',
      'println',
      `printf ${JSON.stringify(this.#format())}`,
      'eq 42',
      'index .Labels',
      'and true',
      'or ""',
      'slice "abcdef" 1',
      'lt 1.5',
      `.First.Greet ${this.#operand()}`,
    ]);
  }

  #command(): string {
    switch (this.#below(9)) {
      case 0:
        return `printf ${JSON.stringify(this.#format() + this.#format())} ${this.#operand()} ${this.#operand()}`;
      case 1:
        return `${this.#pick(['eq', 'ne', 'lt', 'le', 'gt', 'ge'])} ${this.#operand()} ${this.#operand()}`;
      case 2:
        return `${this.#pick(['and', 'or'])} ${this.#operand()} ${this.#operand()}`;
      case 3:
        return this.#pick([
          `index ${this.#pick(LISTS)} ${this.#operand()}`,
          'index .Anys 1',
          'index .Any "list" 1',
          'index .Labels "job"',
          `slice ${this.#pick(['.List', '.Name', '.Anys', '.Count'])} ${this.#below(3)} ${this.#below(5)}`,
          `len ${this.#operand()}`,
          `call ${this.#operand()}`,
          `not ${this.#operand()}`,
        ]);
      case 4:
        return this.#pick([
          `.First.Twice ${this.#pick(['2', '.Count', '"x"', '1.5', 'nil'])}`,
          '.First.Greet "a" "b"',
          '(index .Items 1).Greet',
          `.When.Format ${this.#pick(['"2006-01-02"', '"Jan _2 15:04:05.000 MST -07:00"', '.Name', '"Monday 3PM"'])}`,
          '.When.Unix',
          '.When.Month',
          '.Wait.Seconds',
          '.Nil.Field',
          '.Any.nil.deeper',
          '.Missing',
          '.Labels.missing',
          '.Name.Field',
        ]);
      case 5:
        return `${this.#pick(['print', 'html', 'js', 'urlquery', 'println'])} ${this.#operand()} ${this.#operand()}`;
      default:
        return this.#operand();
    }
  }

  #operand(): string {
    if (this.#variables.length > 0 && this.#chance(0.25)) {
      return this.#pick(this.#variables) + (this.#chance(0.15) ? '.Name' : '');
    }
    if (this.#chance(0.1) && this.#depth < 3) {
      this.#depth++;
      const inner = `(${this.#pipeline()})${this.#chance(0.2) ? '.Name' : ''}`;
      this.#depth--;
      return inner;
    }
    return this.#pick(this.#chance(0.35) ? CONSTANTS : FIELDS);
  }

  #format(): string {
    const flags = this.#pick(['', '', '', '#', '+', '-', '0', ' ', '+#', '-0']);
    const width = this.#pick(['', '', '', '8', '3', '[1]', '*']);
    const precision = this.#pick(['', '', '', '.2', '.0', '.', '.4']);
    return `%${flags}${width}${precision}${this.#pick([...'vvvdsqxXtTgfeEGFbocUp%'])}`;
  }

  #markup(): string {
    const value = () => this.#action(this.#chance(0.7) ? this.#pick(FIELDS) : this.#pipeline());
    return this.#pick([
      () => `<p>${value()}</p>`,
      () => `<p title="${value()}">`,
      () => `<a href='${value()}'>x</a>`,
      () => `<a href="/x?q=${value()}&r=${value()}#${value()}">`,
      () => `<a href="/p/${value()}/${value()}">`,
      () => `<i class=${value()}>`,
      () => `<b data-x = "a ${value()} b" ${value()}="1">`,
      () => `<img srcset="${value()} 2x, /a.png ${value()}">`,
      () => `<div style="color: ${value()}; background: url('${value()}')">`,
      () => `<style>p { color: ${value()} } /* ${value()} */ a { content: "${value()}" }</style>`,
      () => `<script>var x = ${value()}, y = "${value()}", z = '${value()}'; // ${value()}\n</script>`,
      () => `<script>f(\`a ${value()} \${ g(${value()}) }\`); /x${value()}/.test(1) /* c */</script>`,
      () => `<script type="text/template"><b>${value()}</b></script>`,
      () => `<button onclick="f(${value()}, '${value()}')">`,
      () => `<textarea>${value()} <b></textarea><title>${value()}</title>`,
      () => `<!-- ${value()} <b> -->`,
      () => `<meta http-equiv="refresh" content="0; url=${value()}">`,
      () => `a < b <c ${value()} & &amp; `,
      () => '<!DOCTYPE html>',
      () => '</p>',
      () => this.#pick(['<a href="', '">', '<script>', '</script>', "'", '<b ', '>', '/', ' x=']),
      value,
    ])();
  }
}

const TEXTS = ['text ', ' \n', '\n  line\n', 'é€𝄞 ', ' - ', '{ } ', '"q" '];

const LISTS = [
  '.List',
  '.Anys',
  '.Items',
  '.Labels',
  '.KV',
  '.Any',
  '.Any.list',
  '3',
  '.Count',
  '.Nil',
  '.Name',
  '.Any.m',
];

const FIELDS = [
  '.',
  '$',
  '.Name',
  '.Odd',
  '.Markup',
  '.URL',
  '.Script',
  '.Count',
  '.Ratio',
  '.On',
  '.Labels',
  '.Labels.job',
  '.Labels.empty',
  '.KV',
  '.KV.a',
  '.Any',
  '.Any.n',
  '.Any.f',
  '.Any.s',
  '.Any.nil',
  '.Any.list',
  '.Any.m.x',
  '.List',
  '.Anys',
  '.First',
  '.First.Name',
  '.First.Any',
  '.Nil',
  '.Safe',
  '.Link',
  '.When',
  '.Wait',
  '.Big',
  '$.Name',
  '$.Count',
];

const CONSTANTS = [
  '1',
  '0',
  '-3',
  '42',
  '0x1F',
  '1_000',
  '1.5',
  '2.',
  '1e3',
  '-0.0',
  '.5',
  "'a'",
  "'\\n'",
  '1i',
  '1+2i',
  '0x1p-2',
  '017',
  '99999999999999999999',
  '9223372036854775807',
  '18446744073709551615',
  'true',
  'false',
  'nil',
  '""',
  '"str"',
  '"<&>\\"\\u00e9\\x41"',
  '`raw "x"`',
  '"a\\tb"',
];

const SCRAPS = [
  '{{',
  '}}',
  '{{end}}',
  '(',
  ')',
  '|',
  '"',
  '`',
  '$',
  '.',
  ' ',
  '-',
  '{{-',
  '\n',
  ':=',
  '=',
  ',',
  "'",
  '\\',
  '/*',
  '*/',
  'é',
  'nil',
  '0x',
  '1e',
  '<',
  '>',
  '&',
  '{{else}}',
  '\u0000',
  '%',
];
