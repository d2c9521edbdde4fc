/**
 * PromQL as a library: an engine over anything that is `Queryable`, and the parser. Knows nothing of Node, so that it runs in
 * browsers, too. Whatever is not exported here may change at any time.
 */

export { AppError, type ErrorFacts } from '../model/errors.ts';
export { type FloatHistogram, floatHistogram, type ResetHint, type Span } from '../model/histogram.ts';
export { Labels, METRIC_NAME } from '../model/labels.ts';
export { LabelMatcher, type MatchOp } from '../model/matcher.ts';
export { RegexSyntaxError } from '../model/regex/regex.ts';
export { FLOAT, HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
export type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryBudget,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
export { type SeriesBlock, StreamBroken } from '../storage/series-stream.ts';
export { unlimited } from '../storage/unlimited.ts';
export { Engine, type EngineOptions, type InstantQuery, type RangeQuery } from './engine.ts';
export type { PromFunction, Signature, ValueType } from './functions/function.ts';
export { functionOf, functions } from './functions/table.ts';
export type * from './parser/ast.ts';
export { ParseError, type ParseIssue } from './parser/error.ts';
export { exprToJson, type JsonNode } from './parser/json.ts';
export { type ParserOptions, parseExpr, parseMetricSelector } from './parser/parser.ts';
export { prettyExpr } from './parser/pretty.ts';
export { type NamePrinter, printExpr, quoteOddName } from './parser/printer.ts';
export { typeOf } from './parser/type.ts';
export type { PosRange } from './position.ts';
export type { ExplainNode, MatrixSeries, QueryResult, QueryValue, VectorSample } from './result.ts';
export type { QueryStats } from './stats.ts';
