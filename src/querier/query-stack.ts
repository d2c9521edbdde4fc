/** Stack of a thread that parses and evaluates; memory is taken only as far as a query nests. */
export const QUERY_STACK_MB = 32;

/** Levels that an expression may nest, and chains of operators two and a half times as deep: far from the end of that stack. */
export const EXPRESSION_LEVELS_MAX = 2000;
