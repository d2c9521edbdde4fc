import type { Budget } from './budget.ts';
import { type Bytes, decodeRune, encodeRune, runeError } from './bytes.ts';
import { formatFloat } from './float-text.ts';
import { formatTime } from './time.ts';
import { CallError, sortedKeys, type Value } from './value.ts';

/**
 * A value as Go's `encoding/json` writes it, with `<`, `>` and `&` escaped.
 * @throws CallError
 */
export function toJson(value: Value, budget: Budget): Bytes {
  return write(value, budget, 0);
}

function write(value: Value, budget: Budget, depth: number): Bytes {
  budget.step();
  if (depth > 100) throw new CallError('json: unsupported value: encountered a cycle');
  switch (typeof value) {
    case 'undefined':
      return 'null';
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      return floatText(value);
    case 'string':
      return quoted(value, budget);
  }
  const inner = (item: Value) => write(item, budget, depth + 1);
  switch (value.tag) {
    case 'int':
      return String(value.value);
    case 'string':
      return quoted(value.bytes, budget);
    case 'interface':
      return inner(value.inner);
    case 'pointer':
      return inner(value.target);
    case 'list':
      return value.isNil ? 'null' : `[${value.items.map(inner).join(',')}]`;
    case 'map': {
      if (value.isNil) return 'null';
      const pairs = sortedKeys(value.entries).map((key) => `${quoted(key, budget)}:${inner(value.entries.get(key))}`);
      return `{${pairs.join(',')}}`;
    }
    case 'struct': {
      const fields = value.type.fields ?? [];
      const pairs = fields.flatMap(({ name, jsonName = name, isHidden }, i) =>
        isHidden ? [] : [`${quoted(jsonName, budget)}:${inner(value.fields[i])}`],
      );
      return `{${pairs.join(',')}}`;
    }
    case 'time':
      return `"${formatTime(value, '2006-01-02T15:04:05.999999999Z07:00')}"`;
    case 'complex':
    case 'func':
      throw new CallError(`json: unsupported type: ${value.type.name}`);
  }
}

function floatText(value: number): string {
  if (!Number.isFinite(value)) throw new CallError(`json: unsupported value: ${formatFloat(value, 'g', -1)}`);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-6 || size >= 1e21)) {
    return formatFloat(value, 'e', -1).replace(/e-0(\d)$/, 'e-$1');
  }
  return formatFloat(value, 'f', -1);
}

const ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

function quoted(bytes: Bytes, budget: Budget): Bytes {
  budget.make(bytes.length + 2);
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const { code, width } = decodeRune(bytes, at);
    at += width;
    const short = ESCAPES[code];
    if (short !== undefined) text += short;
    else if (code < 0x20 || code === 0x3c || code === 0x3e || code === 0x26 || code === 0x2028 || code === 0x2029) {
      text += `\\u${code.toString(16).padStart(4, '0')}`;
    } else if (width === 1 && code === runeError) text += '\\ufffd';
    else text += encodeRune(code);
  }
  return `${text}"`;
}
