import type { Random } from '../../src/lib/random.ts';

export interface FuzzMetric {
  readonly name: string;
  /** Native histograms, or both in turn. */
  readonly kind: 'float' | 'histogram' | 'mixed';
  /** Whether its samples have start timestamps. */
  readonly starts?: boolean;
  readonly labels: readonly string[];
  /** Values of the labels, for matchers. */
  readonly values: readonly string[];
}

export interface ExpressionOptions {
  readonly random: Random;
  readonly metrics: readonly FuzzMetric[];
  /** Only what Prometheus 2.42 knows; else also what is experimental in 3.16. */
  readonly legacy: boolean;
}

const RANGES = ['20s', '45s', '1m', '2m30s', '5m', '11m', '1h'];
const OVER_TIME =
  'rate increase delta irate idelta deriv changes resets avg_over_time sum_over_time min_over_time max_over_time count_over_time stddev_over_time stdvar_over_time last_over_time present_over_time absent_over_time'.split(
    ' ',
  );
const MATH = 'abs ceil floor sqrt sgn round deg rad'.split(' ');
// of selectors only: languages differ in the last bits of these, and what is made of those bits could be anything
const TRANSCENDENTAL = 'exp ln log2 log10 sin cos atan sinh'.split(' ');
// of times only: what Go makes of values that are no whole number of 64 bits depends on the processor
const CALENDAR = 'hour minute day_of_week days_in_month month year'.split(' ');
const AGGREGATIONS = 'sum avg min max count group'.split(' ');
// of selectors only: the order in which series are added up shows in large values that are close together
const DEVIATIONS = 'stddev stdvar'.split(' ');
const ARITHMETIC = '+ - * / % ^ atan2'.split(' ');
const COMPARISONS = '== != < > <= >='.split(' ');
// what Prometheus 2 refuses or answers otherwise: it reaches further to zero, keeps the name, has other deviations of infinities
const SINCE_3 = ['0s', 'rate', 'increase', 'atan2', 'stddev', 'stdvar', 'stddev_over_time', 'stdvar_over_time'];
const SETS = 'and or unless'.split(' ');
const HISTOGRAM_PARTS = 'histogram_count histogram_sum histogram_avg histogram_stddev histogram_stdvar'.split(' ');
const HISTOGRAM_RANGES =
  'rate increase delta irate idelta avg_over_time sum_over_time last_over_time first_over_time'.split(' ');
/** With samples beyond the window's edges, or values between them. */
const ANCHORED = 'rate increase delta changes resets'.split(' ');
const SMOOTHED = 'rate increase delta'.split(' ');
const TIMES_OVER = 'ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time'.split(' ');
const DURATIONS = ['30s', '1m', '45', '2m30s', 'step()', 'range()', '(1m * 2)', '(5m / 4)', '(10m % 4m)', '2 ^ 5'];
const QUANTILES = ['0.5', '0.99', '0', '1', '0.25', '-1', '2', 'NaN'];

/** Random expressions of known type; each is well-formed, most of them mean something. */
export class Expressions {
  readonly #random: Random;
  readonly #metrics: readonly FuzzMetric[];
  readonly #legacy: boolean;

  constructor({ random, metrics, legacy }: ExpressionOptions) {
    this.#random = random;
    this.#metrics = metrics;
    this.#legacy = legacy;
  }

  vector(depth: number): string {
    if (depth <= 0 || this.#chance(0.1)) return `${this.#selector()}${this.#modifiers()}`;
    const make = this.#pick([
      () => `${this.#known(OVER_TIME)}(${this.#matrix(depth)})`,
      () => `${this.#known(OVER_TIME)}(${this.#matrix(depth)})`,
      () => `${this.#pick(AGGREGATIONS)}${this.#grouping()}(${this.vector(depth - 1)})`,
      () => `${this.#pick(AGGREGATIONS)}${this.#grouping()}(${this.vector(depth - 1)})`,
      () => `${this.#pick(MATH)}(${this.vector(depth - 1)})`,
      () => `${this.#pick(TRANSCENDENTAL)}(${this.#selector()}${this.#modifiers()})`,
      () => `${this.#known([...DEVIATIONS, 'sum'])}${this.#grouping()}(${this.#selector()}${this.#modifiers()})`,
      () => this.#withScalar(depth),
      () => this.#binary(depth),
      () => this.#binary(depth),
      () => this.#special(depth),
      () => `-(${this.vector(depth - 1)})`,
      ...(this.#legacy
        ? []
        : [() => this.#ofHistograms(depth), () => this.#ofHistograms(depth), () => this.#experimental(depth)]),
    ]);
    return make();
  }

  /** One without a range or modifiers. */
  selector(): string {
    return this.#selector();
  }

  /** An expression of series of which most are native histograms. */
  #histograms(depth: number): string {
    if (depth <= 0 || this.#chance(0.15)) return `${this.#selector('histogram')}${this.#modifiers()}`;
    const inner = () => this.#histograms(depth - 1);
    const range = () => `${this.#selector('histogram')}[${this.#range()}]${this.#modifiers()}`;
    const make = this.#pick([
      () => `${this.#pick(HISTOGRAM_RANGES)}(${range()})`,
      () => `${this.#pick(HISTOGRAM_RANGES)}(${range()})`,
      () =>
        `${this.#pick(HISTOGRAM_RANGES)}((${inner()})[${this.#pick(RANGES.slice(2))}:${this.#pick(['', '20s', '1m'])}])`,
      () => `${this.#pick(['sum', 'avg'])}${this.#grouping()}(${inner()})`,
      () => `${this.#pick(['sum', 'avg'])}${this.#grouping()}(${inner()})`,
      () => `(${inner()}) ${this.#pick(['*', '/'])} (${this.#factor(depth - 1)})`,
      () => `(${this.#factor(depth - 1)}) * (${inner()})`,
      () => `(${inner()}) ${this.#pick(['+', '-', '==', '!=', 'and', 'or', 'unless'])}${this.#matching()} (${inner()})`,
      () => `(${inner()}) ${this.#pick(['*', '/'])}${this.#matching()} (${this.vector(depth - 1)})`,
      () =>
        `(${inner()}) ${this.#pick(['</', '>/'])} ${this.#pick(['0', '1', '0.3', '-1', '7.25', 'Inf', '-Inf', 'NaN'])}`,
      () => `-(${inner()})`,
      () => this.#extended('histogram'),
    ]);
    return make();
  }

  /** Numbers that are made of histograms. */
  #ofHistograms(depth: number): string {
    const inner = this.#histograms(depth - 1);
    const bound = () => this.#pick(['0', '0.1', '1', '-1', '2.5', '-Inf', '+Inf', 'NaN']);
    const make = this.#pick([
      () => `${this.#pick(HISTOGRAM_PARTS)}(${inner})`,
      () => `${this.#pick(HISTOGRAM_PARTS)}(${inner})`,
      () => `histogram_quantile(${this.#pick(QUANTILES)}, ${inner})`,
      () => `histogram_quantile(${this.#pick(QUANTILES)}, ${inner})`,
      () => `histogram_fraction(${bound()}, ${bound()}, ${inner})`,
      () => `histogram_quantiles(${inner}, "q", ${this.#pick(QUANTILES)}, ${this.#pick(['0.9', '0.1'])})`,
      () =>
        `${this.#pick(['count', 'group', 'count', 'min', 'topk', 'quantile'].slice(0, 3))}${this.#grouping()}(${inner})`,
      () => `${this.#pick([...AGGREGATIONS, ...DEVIATIONS])}${this.#grouping()}(${inner})`,
      () => `${this.#pick(OVER_TIME)}(${this.#selector('histogram')}[${this.#range()}]${this.#modifiers()})`,
      () => `count_values${this.#grouping()}("v", ${this.#selector('histogram')})`,
      () => `timestamp(${inner})`,
      () => inner,
    ]);
    return make();
  }

  /** An expression with features that have to be turned on. */
  #experimental(depth: number): string {
    const inner = this.vector(depth - 1);
    const make = this.#pick([
      () => this.#extended('float'),
      () => this.#extended('float'),
      () => this.#filled(depth),
      () => this.#filled(depth),
      // which ones is a matter of chance, how many is not
      () => {
        const by = this.#grouping();
        return `count${by}(limitk${by}(${this.#pick(['1', '2', '5', '0'])}, ${inner}))`;
      },
      () => `limit_ratio${this.#grouping()}(${this.#pick(['0.5', '-0.5', '0.1', '1', '-1', '0', '0.9'])}, ${inner})`,
      () => `sort_by_label${this.#pick(['', '_desc'])}(${inner}, "instance", "job")`,
      () =>
        `info(${inner}${this.#pick(['', ', {version=~".+"}', ', {region="eu"}', ', {__name__=~".+_info"}', ', {__name__="build_info", version!=""}'])})`,
      () => `${this.#pick(TIMES_OVER)}(${this.#matrix(depth)})`,
      () => `integral(${this.#matrix(depth)}${this.#pick(['', '', ', 0', ', 1', ', 2', ', 3'])})`,
      () => `vector(${this.#pick(['start()', 'end()', 'step()', 'range()'])})`,
      () => `(${inner}) * ${this.#pick(['max_of', 'min_of'])}(${this.#scalar(depth - 1)}, ${this.#scalar(0)})`,
      () => `start_timestamp(${this.#selector()}${this.#modifiers()})`,
      () =>
        `${this.#pick(['rate', 'increase', 'irate', 'resets', 'changes'])}(${this.#selector('starts')}[${this.#range()}])`,
      () => `${this.#pick(['rate', 'increase', 'irate', 'resets'])}(${this.#selector('starts')}[${this.#range()}])`,
    ]);
    return make();
  }

  #extended(kind: 'float' | 'histogram'): string {
    const selector = this.#selector(kind === 'float' && this.#chance(0.3) ? 'starts' : kind);
    const dice = this.#random();
    if (dice < 0.2) return `${selector} smoothed${this.#modifiers()}`;
    if (dice < 0.6) return `${this.#pick(ANCHORED)}(${selector}[${this.#range()}] anchored${this.#modifiers()})`;
    return `${this.#pick(SMOOTHED)}(${selector}[${this.#range()}] smoothed${this.#modifiers()})`;
  }

  #filled(depth: number): string {
    const [left, right] = [this.vector(depth - 1), this.vector(depth - 1)];
    const op = this.#pick([...ARITHMETIC, ...COMPARISONS]);
    const bool = COMPARISONS.includes(op) && this.#chance(0.4) ? ' bool' : '';
    const number = () => this.#pick(['0', '1', '-2.5', 'NaN', 'Inf', '23']);
    const fill = this.#pick([
      () => `fill(${number()})`,
      () => `fill_left(${number()})`,
      () => `fill_right(${number()})`,
      () => `fill_left(${number()}) fill_right(${number()})`,
    ])();
    const some = this.#someLabels();
    if (this.#chance(0.5)) return `(sum by (${some}) (${left})) ${op}${bool} ${fill} (sum by (${some}) (${right}))`;
    if (this.#chance(0.5))
      return `(${left}) ${op}${bool} on (${some}) group_left () ${fill} (sum by (${some}) (${right}))`;
    return `(sum by (${some}) (${left})) ${op}${bool} on (${some}) group_right () ${fill} (${right})`;
  }

  #someLabels(): string {
    return this.#pick(this.#metrics)
      .labels.filter(() => this.#chance(0.5))
      .join(', ');
  }

  #matching(): string {
    return this.#chance(0.5) ? '' : ` ${this.#pick(['on', 'ignoring'])} (${this.#someLabels()})`;
  }

  #range(): string {
    if (this.#legacy || this.#chance(0.85)) return this.#pick(RANGES);
    const [one, other] = [this.#pick(DURATIONS), this.#pick(DURATIONS)];
    // at least a second, whatever the parts are
    return this.#pick([
      `${one} + 1s`,
      `${one} + ${other} + 1s`,
      `max_of(${one}, 20s)`,
      `min_of(${one}, ${other}) + 15s`,
    ]);
  }

  #matrix(depth: number): string {
    if (depth > 1 && this.#chance(0.2)) {
      const resolution = this.#pick(['', '20s', '1m', '77s']);
      // one within another has its steps on the edge of the other's windows, where versions differ
      const inner = this.vector(this.#legacy ? 1 : depth - 1);
      return `(${inner})[${this.#pick(RANGES.slice(2))}:${resolution}]${this.#modifiers()}`;
    }
    return `${this.#selector()}[${this.#range()}]${this.#modifiers()}`;
  }

  #scalar(depth: number): string {
    if (depth > 0 && this.#chance(0.15)) return `scalar(${this.vector(depth - 1)})`;
    return this.#pick([
      '0',
      '1',
      '2',
      '0.5',
      '-3',
      '1e3',
      'NaN',
      'Inf',
      '-Inf',
      '100',
      '7.25',
      'time()',
      'pi()',
      '0x1F',
    ]);
  }

  /** A factor of histograms: an infinite one makes NaN of empty buckets, and which of those there are depends on how chunks were cut. */
  #factor(depth: number): string {
    return this.#chance(0.8) ? this.#pick(['2', '0.5', '-3', '1e3', '0', '7.25', 'time()']) : this.#scalar(depth);
  }

  /** @param kind of the metric, most times, where there is such a one */
  #selector(kind?: 'float' | 'histogram' | 'starts'): string {
    const wanted = (metric: FuzzMetric) => (kind === 'starts' ? metric.starts === true : metric.kind === kind);
    const fitting = this.#metrics.filter(wanted);
    const { name, labels, values } = this.#pick(fitting.length > 0 && this.#chance(0.85) ? fitting : this.#metrics);
    const matchers = labels
      .filter(() => this.#chance(0.2))
      .map((label) => {
        const value = this.#pick(values);
        return this.#pick([
          `${label}="${value}"`,
          `${label}!="${value}"`,
          `${label}=~"${value}|x.*"`,
          `${label}!~"${value}.*"`,
          `${label}=""`,
          `${label}=~".+"`,
        ]);
      });
    if (this.#chance(0.03)) return `{__name__=~"${name.slice(0, -1)}.*"${matchers.map((each) => `,${each}`).join('')}}`;
    return matchers.length === 0 ? name : `${name}{${matchers.join(',')}}`;
  }

  #modifiers(): string {
    let text = '';
    if (this.#chance(0.15)) {
      const computed = !this.#legacy && this.#chance(0.15);
      text += ` offset ${computed ? this.#pick(['step()', '(1m + 7s)', '-step()', 'min_of(step(), 30s)', '(90 / 4)', 'range()']) : this.#known(['40s', '-1m', '5m', '17s', '0s'])}`;
    }
    if (this.#chance(0.05)) text += ` @ ${this.#pick(['start()', 'end()'])}`;
    return text;
  }

  #grouping(): string {
    if (this.#chance(0.3)) return '';
    const labels = this.#pick(this.#metrics).labels.filter(() => this.#chance(0.5));
    return ` ${this.#pick(['by', 'without'])} (${labels.join(', ')}) `;
  }

  #withScalar(depth: number): string {
    const op = this.#known([...ARITHMETIC, ...COMPARISONS]);
    const bool = COMPARISONS.includes(op) && this.#chance(0.5) ? ' bool' : '';
    const [vector, scalar] = [`(${this.vector(depth - 1)})`, `(${this.#scalar(depth - 1)})`];
    return this.#chance(0.5) ? `${vector} ${op}${bool} ${scalar}` : `${scalar} ${op}${bool} ${vector}`;
  }

  #binary(depth: number): string {
    const left = this.vector(depth - 1);
    const right = this.#chance(0.4) ? left : this.vector(depth - 1);
    const some = this.#someLabels();
    const matching = this.#chance(0.5) ? '' : ` ${this.#pick(['on', 'ignoring'])} (${some})`;
    if (this.#chance(0.3)) return `(${left}) ${this.#pick(SETS)}${matching} (${right})`;
    const op = this.#known([...ARITHMETIC, ...COMPARISONS]);
    const bool = COMPARISONS.includes(op) && this.#chance(0.4) ? ' bool' : '';
    if (matching === '' || this.#chance(0.4)) return `(${left}) ${op}${bool}${matching} (${right})`;
    const by = `sum by (${some})`;
    return `(${left}) ${op}${bool} on (${some}) group_left () (${by} (${right}))`;
  }

  #special(depth: number): string {
    const inner = this.vector(depth - 1);
    const makers = [
      () => `quantile${this.#grouping()}(${this.#pick(['0.5', '0.9', '0', '1', '1.5', '-1', 'NaN'])}, ${inner})`,
      () => `count_values("v", ${this.#selector()})`,
      () => `histogram_quantile(${this.#pick(['0.5', '0.99', '0', '1', '-1', '2'])}, ${inner})`,
      () => `clamp(${inner}, ${this.#scalar(0)}, ${this.#scalar(0)})`,
      () => `clamp_max(${inner}, ${this.#scalar(0)})`,
      () => `label_replace(${inner}, "x", "$1-y", "instance", "(.*)")`,
      () => `label_join(${inner}, "x", "-", "instance", "job")`,
      () => `absent(${inner})`,
      () => `timestamp(${inner})`,
      () => `${this.#pick(CALENDAR)}(timestamp(${inner}))`,
      () => `sort_desc(${inner})`,
      () => `vector(${this.#scalar(depth - 1)})`,
      () => `quantile_over_time(${this.#pick(['0.5', '0.25', '2', '0'])}, ${this.#matrix(depth)})`,
      () => `predict_linear(${this.#matrix(depth)}, ${this.#pick(['600', '-60', '0'])})`,
    ];
    if (!this.#legacy) {
      makers.push(
        () => `double_exponential_smoothing(${this.#matrix(depth)}, 0.4, 0.3)`,
        () => `mad_over_time(${this.#matrix(depth)})`,
        () => `histogram_fraction(0, ${this.#pick(['0.1', '1', 'Inf'])}, ${inner})`,
        () => `first_over_time(${this.#matrix(depth)})`,
        () => `ts_of_max_over_time(${this.#matrix(depth)})`,
      );
    }
    return this.#pick(makers)();
  }

  #known(from: readonly string[]): string {
    return this.#pick(this.#legacy ? from.filter((each) => !SINCE_3.includes(each)) : from);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }
}
