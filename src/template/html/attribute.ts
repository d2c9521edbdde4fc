/** Contents of attributes' values, after the tables of HTML; those of unknown attributes are guessed from the name. */
export type ContentType = 'plain' | 'css' | 'html' | 'htmlAttr' | 'js' | 'jsStr' | 'url' | 'srcset' | 'unsafe';

const NAMES: readonly (readonly [ContentType, string])[] = [
  [
    'plain',
    'accept alt autocomplete autofocus autoplay border checked class cols colspan contenteditable contextmenu controls coords datetime default dir dirname disabled draggable dropzone for formtarget headers height hidden high hreflang id ismap kind label lang list loop low max maxlength media mediagroup min multiple name open optimum placeholder preload pubdate radiogroup readonly required reversed rows rowspan spellcheck scope scoped seamless selected shape size sizes span srclang start step tabindex target title width wrap',
  ],
  [
    'unsafe',
    'accept-charset async challenge charset content crossorigin defer enctype form formenctype formmethod formnovalidate http-equiv keytype language method novalidate pattern rel sandbox type value',
  ],
  [
    'url',
    'action archive background cite classid codebase data formaction href icon longdesc manifest poster profile src usemap xmlns',
  ],
  ['html', 'srcdoc'],
  ['srcset', 'srcset'],
  ['css', 'style'],
];

const TYPES = new Map(NAMES.flatMap(([type, names]) => names.split(' ').map((name) => [name, type] as const)));

/** @param given in lower case. */
export function attributeType(given: string): ContentType {
  let name = given;
  if (name.startsWith('data-')) name = name.slice(5);
  else {
    const colon = name.indexOf(':');
    if (colon >= 0) {
      if (name.slice(0, colon) === 'xmlns') return 'url';
      name = name.slice(colon + 1);
    }
  }
  const known = TYPES.get(name);
  if (known !== undefined) return known;
  if (name.startsWith('on')) return 'js';
  return name.includes('src') || name.includes('uri') || name.includes('url') ? 'url' : 'plain';
}
