import type { Node } from 'yaml';
import { YamlError, YamlReader } from '../../yaml/reader.ts';

/** Unit tests of rules, as promtool's files write them. Times in ms, from the start of the test. */
export interface RuleTestFile {
  /** Patterns of names, relative to the file. */
  readonly ruleFiles: readonly string[];
  readonly evaluationIntervalMs: number;
  /** Groups in the order in which they are evaluated; all others come first. */
  readonly groupOrder: readonly string[];
  readonly tests: readonly RuleTest[];
  /** Values may differ in their last bit. */
  readonly fuzzyCompare: boolean;
}

export interface RuleTest {
  readonly name: string;
  /** Between the samples of a series. */
  readonly intervalMs: number;
  readonly inputSeries: readonly { readonly series: string; readonly values: string }[];
  readonly alertTests: readonly AlertTest[];
  readonly exprTests: readonly ExprTest[];
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly externalUrl: string;
  /** Unix ms. */
  readonly startMs: number;
}

export interface AlertTest {
  readonly evalTimeMs: number;
  readonly alertname: string;
  readonly alerts: readonly {
    readonly labels: ReadonlyMap<string, string>;
    readonly annotations: ReadonlyMap<string, string>;
  }[];
}

export interface ExprTest {
  readonly expr: string;
  readonly evalTimeMs: number;
  readonly samples: readonly { readonly labels: string; readonly value: number; readonly histogram: string }[];
}

const intervalDefaultMs = 60_000;

/** @throws YamlError */
export function readRuleTestFile(text: string): RuleTestFile {
  const reader = new YamlReader(text);
  let ruleFiles: string[] = [];
  let evaluationIntervalMs = 0;
  let groupOrder: string[] = [];
  let tests: RuleTest[] = [];
  let fuzzyCompare = false;
  reader.mapping(reader.top, 'main.unitTestFile', {
    rule_files: (node) => {
      ruleFiles = reader.strings(node);
    },
    evaluation_interval: (node) => {
      evaluationIntervalMs = reader.duration(node);
    },
    group_eval_order: (node) => {
      groupOrder = reader.strings(node);
    },
    tests: (node) => {
      tests = reader.list(node, 'main.testGroup', (each) => readTest(reader, each));
    },
    fuzzy_compare: (node) => {
      fuzzyCompare = reader.boolean(node);
    },
  });
  reader.check();
  const repeated = groupOrder.find((name, i) => groupOrder.indexOf(name) < i);
  if (repeated !== undefined) throw new YamlError(`group name repeated in evaluation order: ${repeated}`);
  evaluationIntervalMs ||= intervalDefaultMs;
  return {
    ruleFiles,
    evaluationIntervalMs,
    groupOrder,
    tests: tests.map((test) => (test.intervalMs === 0 ? { ...test, intervalMs: evaluationIntervalMs } : test)),
    fuzzyCompare,
  };
}

function readTest(reader: YamlReader, given: Node | null): RuleTest {
  const test = {
    name: '',
    intervalMs: 0,
    inputSeries: [] as RuleTest['inputSeries'],
    alertTests: [] as readonly AlertTest[],
    exprTests: [] as readonly ExprTest[],
    externalLabels: new Map<string, string>(),
    externalUrl: '',
    startMs: 0,
  };
  reader.mapping(given, 'main.testGroup', {
    name: (node) => {
      test.name = reader.string(node);
    },
    interval: (node) => {
      test.intervalMs = reader.duration(node);
    },
    input_series: (node) => {
      test.inputSeries = reader.list(node, 'main.series', (each) => readSeries(reader, each));
    },
    alert_rule_test: (node) => {
      test.alertTests = reader.list(node, 'main.alertTestCase', (each) => readAlertTest(reader, each));
    },
    promql_expr_test: (node) => {
      test.exprTests = reader.list(node, 'main.promqlTestCase', (each) => readExprTest(reader, each));
    },
    external_labels: (node) => {
      test.externalLabels = reader.stringMap(node);
    },
    external_url: (node) => {
      test.externalUrl = reader.string(node);
    },
    start_timestamp: (node) => {
      test.startMs = timeOf(reader.string(node));
    },
  });
  return test;
}

/** Unix seconds or RFC 3339. */
function timeOf(text: string): number {
  if (text === '') return 0;
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return Math.trunc(Number(text) * 1000);
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new YamlError(`cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return ms;
}

function readSeries(reader: YamlReader, given: Node | null) {
  const line = { series: '', values: '' };
  reader.mapping(given, 'main.series', {
    series: (node) => {
      line.series = reader.string(node);
    },
    values: (node) => {
      line.values = reader.string(node);
    },
  });
  return line;
}

function readAlertTest(reader: YamlReader, given: Node | null): AlertTest {
  const test = { evalTimeMs: 0, alertname: '', alerts: [] as AlertTest['alerts'] };
  reader.mapping(given, 'main.alertTestCase', {
    eval_time: (node) => {
      test.evalTimeMs = reader.duration(node);
    },
    alertname: (node) => {
      test.alertname = reader.string(node);
    },
    exp_alerts: (node) => {
      test.alerts = reader.list(node, 'main.alert', (each) => {
        let labels: ReadonlyMap<string, string> = new Map();
        let annotations: ReadonlyMap<string, string> = new Map();
        reader.mapping(each, 'main.alert', {
          exp_labels: (value) => {
            labels = reader.stringMap(value);
          },
          exp_annotations: (value) => {
            annotations = reader.stringMap(value);
          },
        });
        return { labels, annotations };
      });
    },
  });
  return test;
}

function readExprTest(reader: YamlReader, given: Node | null): ExprTest {
  const test = { expr: '', evalTimeMs: 0, samples: [] as ExprTest['samples'] };
  reader.mapping(given, 'main.promqlTestCase', {
    expr: (node) => {
      test.expr = reader.string(node);
    },
    eval_time: (node) => {
      test.evalTimeMs = reader.duration(node);
    },
    exp_samples: (node) => {
      test.samples = reader.list(node, 'main.sample', (each) => {
        const sample = { labels: '', value: 0, histogram: '' };
        reader.mapping(each, 'main.sample', {
          labels: (value) => {
            sample.labels = reader.string(value);
          },
          value: (value) => {
            sample.value = reader.number(value);
          },
          histogram: (value) => {
            sample.histogram = reader.string(value);
          },
        });
        return sample;
      });
    },
  });
  return test;
}
