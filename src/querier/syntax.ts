import type { QuerierConfig } from './config.ts';
import { EXPRESSION_LEVELS_MAX } from './query-stack.ts';

/** An evaluation takes far fewer (`query_matchers_max`, `query_label_list_max`): reading stops here, some 10 ms on. */
const LIST_MAX = 20_000;

/** Syntax that the parser takes beyond the stable language. */
export function querierSyntax(config: QuerierConfig) {
  return {
    experimentalFunctions: config.enablePromqlExperimentalFunctions,
    extendedRangeSelectors: config.enablePromqlExtendedRangeSelectors,
    binopFillModifiers: config.enablePromqlBinopFillModifiers,
    unquotedUtf8Names: config.enablePromqlUnquotedUtf8Names,
    levelsMax: EXPRESSION_LEVELS_MAX,
    listMax: LIST_MAX,
  };
}
