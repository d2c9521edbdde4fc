import { bytesOf } from '../../src/template/bytes.ts';
import { UTC } from '../../src/template/civil.ts';
import { sprint } from '../../src/template/format.ts';
import { HTML, URL } from '../../src/template/html/escapers.ts';
import { DURATION, duration, TIME, time } from '../../src/template/time.ts';
import {
  ANY,
  ANY_MAP,
  ANYS,
  BOOL,
  FLOAT64,
  INT,
  INT64,
  integer,
  list,
  listOf,
  type MapValue,
  type Method,
  map,
  pointer,
  pointerTo,
  STRING,
  STRING_MAP,
  STRINGS,
  type StructValue,
  struct,
  type Type,
  type Value,
  wholeOf,
} from '../../src/template/value.ts';

/** The data of go-templates/main.go. */

const ITEM: Type = {
  kind: 'struct',
  name: 'main.item',
  fields: [
    { name: 'Name', type: STRING },
    { name: 'Count', type: INT },
    { name: 'Any', type: ANY },
  ],
  methods: new Map<string, Method>([
    [
      'Twice',
      {
        in: [INT],
        out: INT,
        call: (receiver: Value, [by]: readonly Value[]) =>
          2n * wholeOf(by)! * ((receiver as StructValue).fields[1] as bigint),
      },
    ],
    [
      'Greet',
      {
        in: [STRING],
        variadic: true,
        out: STRING,
        call: (receiver, names, budget) => sprint([(receiver as StructValue).fields[0], list(names, STRINGS)], budget),
      },
    ],
  ]),
};

const KV: Type = {
  kind: 'map',
  name: 'main.kv',
  elem: STRING,
  methods: new Map([
    ['String', { in: [], out: STRING, call: (receiver: Value) => `kv of ${(receiver as MapValue).entries.size}` }],
  ]),
};

const FIELDS: readonly (readonly [name: string, type: Type, value: Value])[] = [
  ['Name', STRING, 'host1:9100'],
  ['Odd', STRING, bytesOf('a<b>&"c"\'d\'\u00e9\u2028\0+=` ]]>/*x*/</script>')],
  ['Markup', STRING, '<b class="x">bold</b> & <i>it'],
  ['URL', STRING, 'javascript:alert(1)//%41 ?q=a b&c'],
  ['Script', STRING, 'x = `\x24{y}` + "\\u003c"; // <!-- '],
  ['Count', INT, 42n],
  ['Ratio', FLOAT64, 1234.5678],
  ['On', BOOL, true],
  ['Labels', STRING_MAP, strings({ job: 'node', instance: 'host1:9100', empty: '' }, STRING_MAP)],
  ['KV', KV, strings({ b: '2', a: '1' }, KV)],
  [
    'Any',
    ANY_MAP,
    map(
      new Map<string, Value>([
        ['n', 7n],
        ['f', 2.5],
        ['s', 'text'],
        ['nil', undefined],
        ['list', list([1n, 'two', 3], ANYS)],
        ['m', map(new Map([['x', true]]), ANY_MAP)],
      ]),
      ANY_MAP,
    ),
  ],
  ['List', STRINGS, list(['b', 'a', '', 'd<e>'], STRINGS)],
  ['Anys', ANYS, list([1n, 'two', 3.5, undefined, true, list(['x'], STRINGS)], ANYS)],
  [
    'Items',
    listOf(ITEM),
    list(
      [struct(ITEM, ['first', 3n, 1.5]), struct(ITEM, ['second', -1n, 'any']), struct(ITEM, ['', 0n, undefined])],
      listOf(ITEM),
    ),
  ],
  ['First', ITEM, struct(ITEM, ['first', 3n, 1.5])],
  ['Nil', ANY, undefined],
  ['Safe', HTML, { tag: 'string', type: HTML, bytes: '<em title="t">safe</em>' }],
  ['Link', URL, { tag: 'string', type: URL, bytes: 'http://example.com/?a=b&c=d,e' }],
  ['When', TIME, time(Date.UTC(2026, 0, 2, 15, 4, 5) / 1000, 678_000_000, UTC)],
  ['Wait', DURATION, duration(5_401_500_000_000n)],
  ['Big', INT64, integer(1n << 40n, INT64)],
];

function strings(entries: Readonly<Record<string, string>>, type: Type): MapValue {
  return map(new Map(Object.entries(entries)), type);
}

const DATA: Type = { kind: 'struct', name: 'main.data', fields: FIELDS.map(([name, type]) => ({ name, type })) };

export const templateData: Value = pointer(
  struct(
    DATA,
    FIELDS.map(([, , value]) => value),
  ),
  pointerTo(DATA),
);
