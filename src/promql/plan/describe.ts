import type { Grid } from './grid.ts';
import type { PlanNode, Select } from './node.ts';

/** A node in a few words, without its children. */
export function describeNode(node: PlanNode): string {
  switch (node.kind) {
    case 'number':
      return String(node.value);
    case 'string':
      return JSON.stringify(node.value);
    case 'time':
      return 'time()';
    case 'selector':
      return `select ${describeSelect(node.select)}${node.smoothed ? ' smoothed' : ''}`;
    case 'matrix':
      return node.source.kind === 'select'
        ? `range ${node.rangeMs}ms of ${describeSelect(node.source.select)}${node.source.anchored ? ' anchored' : ''}${node.source.smoothed ? ' smoothed' : ''}`
        : `subquery over ${node.rangeMs}ms`;
    case 'call':
      return `${node.func.name}()`;
    case 'aggregate':
      return `${node.op} ${node.without ? 'without' : 'by'} (${node.grouping.join(', ')})`;
    case 'binary':
      return node.bool ? `${node.op} bool` : node.op;
    case 'negate':
      return '-';
    case 'repeat':
      return 'repeat the first step';
    case 'shared':
      return `shared part ${node.id}`;
  }
}

function describeSelect({ matchers, startMs, endMs }: Select): string {
  return `{${matchers.join(', ')}} ${startMs}…${endMs}`;
}

export function describeGrid({ startMs, stepMs, steps }: Grid): string {
  return `${startMs}+${stepMs}x${steps}`;
}
