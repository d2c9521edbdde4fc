import type { Page } from 'playwright-core';

/**
 * Faults of a page for those who do not see it, or use no mouse: controls without a name, focus that cannot be seen, text that is
 * hard to read, landmarks and titles that are missing. Names and ratios as in WCAG 2.2: 1.4.3, 2.4.2, 2.4.7, 4.1.2.
 */
export async function accessibilityFaults(page: Page, only?: 'contrast'): Promise<string[]> {
  return [...(only === undefined ? await readFaults(page) : []), ...(await seenFaults(page, only))];
}

/** Roles that are of no use without a name. */
const NAMED = new Set([
  'button',
  'link',
  'textbox',
  'combobox',
  'checkbox',
  'switch',
  'radio',
  'tab',
  'menuitem',
  'spinbutton',
  'dialog',
  'heading',
]);

interface AxValue {
  readonly value?: unknown;
}
interface AxNode {
  readonly ignored: boolean;
  readonly role?: AxValue;
  readonly name?: AxValue;
  readonly properties?: readonly { readonly name: string; readonly value: AxValue }[];
}

/** Faults of what the browser hands to a reader of screens: names, and headings in order below one of the page. */
export async function readFaults(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  try {
    const { nodes } = (await session.send('Accessibility.getFullAXTree')) as { readonly nodes: readonly AxNode[] };
    const faults = new Set<string>();
    const levels: number[] = [];
    for (const { ignored, role, name, properties = [] } of nodes) {
      const kind = String(role?.value ?? '');
      if (ignored || !NAMED.has(kind)) continue;
      const said = String(name?.value ?? '').trim();
      if (said === '') {
        const told = properties.map((each) => `${each.name}=${String(each.value.value)}`).join(' ');
        faults.add(`is read without a name: ${kind} (${told})`);
      }
      if (kind !== 'heading') continue;
      const level = Number(properties.find((each) => each.name === 'level')?.value.value);
      if (level > (levels.at(-1) ?? 0) + 1)
        faults.add(`heading "${said.slice(0, 40)}" of level ${level} is out of order`);
      levels.push(level);
    }
    const tops = levels.filter((level) => level === 1).length;
    if (tops !== 1) faults.add(`${tops} headings of level 1`);
    return [...faults];
  } finally {
    await session.detach();
  }
}

function seenFaults(page: Page, only?: 'contrast'): Promise<string[]> {
  return page.evaluate((part) => {
    const faults = new Set<string>();
    const isSeen = (element: Element) =>
      element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
      element.getBoundingClientRect().width > 1;
    const told = (element: Element) =>
      element.outerHTML
        .replace(/ (class|style|data-[\w-]+)="[^"]*"/g, '')
        .replace(/<svg.*?<\/svg>/gs, '')
        .slice(0, 140);
    const textOf = (element: Element) => (element.textContent ?? '').trim();

    const isAll = part === undefined;
    // names
    const nameOf = (element: Element): string => {
      const by = element.getAttribute('aria-labelledby');
      if (by !== null) {
        const text = by
          .split(/\s+/)
          .map((id) => document.getElementById(id)?.textContent ?? '')
          .join(' ')
          .trim();
        if (text !== '') return text;
      }
      const label = element.getAttribute('aria-label')?.trim() ?? '';
      if (label !== '') return label;
      const labels = (element as HTMLInputElement).labels ?? [];
      const labelled = [...labels].map(textOf).join(' ').trim();
      if (labelled !== '') return labelled;
      if (!/^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName)) {
        const text = textOf(element);
        if (text !== '') return text;
      }
      return element.getAttribute('title')?.trim() ?? '';
    };
    const CONTROLS =
      'a[href], button, input:not([type=hidden]), select, textarea, summary, [contenteditable=true], [role=button], [role=tab], [role=checkbox], [role=switch], [role=combobox], [role=dialog], [role=progressbar], [role=img], section, [tabindex="0"]';
    const controls = [...document.querySelectorAll<HTMLElement>(CONTROLS)].filter(isSeen);
    if (isAll) for (const each of controls) if (nameOf(each) === '') faults.add(`has no name: ${told(each)}`);
    const ids = new Map<string, number>();
    for (const { id } of document.querySelectorAll('[id]')) ids.set(id, (ids.get(id) ?? 0) + 1);
    for (const [id, count] of ids) if (count > 1) faults.add(`${count} elements have the id ${id}`);
    for (const one of ['main', 'nav[aria-label]', 'header'])
      if (document.querySelector(one) === null) faults.add(`there is no ${one}`);
    if (document.documentElement.lang === '') faults.add('the language is not told');
    if (document.title.trim() === '') faults.add('the page has no title');
    for (const table of document.querySelectorAll('table')) {
      const head = table.querySelector('thead');
      if (head === null) continue;
      const [wanted, have] = [head.querySelectorAll('th').length, table.querySelector('tbody tr')?.children.length];
      if (wanted === 0) faults.add(`the head of a table has no th: ${told(table)}`);
      else if (have !== undefined && have > wanted) faults.add(`${have} columns and ${wanted} heads: ${told(table)}`);
    }

    // focus: what can be reached by keys looks otherwise when it is
    const look = (element: Element) => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor, backgroundColor } = getComputedStyle(element);
      const outline = outlineStyle === 'none' || outlineWidth === '0px' ? '' : `${outlineStyle} ${outlineWidth}`;
      return [outline, boxShadow, borderColor, backgroundColor].join(' ');
    };
    const finish = () => {
      for (const animation of document.getAnimations()) {
        if (animation instanceof CSSTransition) animation.finish();
      }
    };
    /** Itself, what stands around it, and a label beside it: any of them may show where the focus is. */
    const around = (element: HTMLElement): Element[] => [
      element,
      ...[element.parentElement, element.parentElement?.parentElement].filter((each) => each != null),
      ...[...((element as HTMLInputElement).labels ?? [])],
    ];
    const before = document.activeElement as HTMLElement | null;
    const scrollTop = document.documentElement.scrollTop;
    const kinds = new Set<string>();
    for (const each of isAll ? controls : []) {
      if (each.tabIndex < 0 || each.matches(':disabled') || each.tagName === 'SECTION') continue;
      // one of each kind will do: rows of a table have many alike
      const kind = `${each.tagName} ${each.className} ${each.getAttribute('type')}`;
      if (kinds.has(kind)) continue;
      kinds.add(kind);
      before?.blur();
      each.blur();
      finish();
      const places = around(each);
      const unfocused = places.map(look);
      each.focus({ focusVisible: true, preventScroll: true } as FocusOptions);
      if (document.activeElement !== each) continue;
      finish();
      if (places.every((place, i) => look(place) === unfocused[i])) faults.add(`focus is not seen: ${told(each)}`);
      each.blur();
    }
    before?.focus({ preventScroll: true });
    document.documentElement.scrollTop = scrollTop;
    finish();

    // contrast of texts
    type Colour = readonly [r: number, g: number, b: number, alpha: number];
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
    canvas.canvas.width = canvas.canvas.height = 1;
    const parsed = new Map<string, Colour>();
    const parse = (text: string): Colour => {
      let colour = parsed.get(text);
      if (colour === undefined) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        colour = [r!, g!, b!, alpha! / 255];
        parsed.set(text, colour);
      }
      return colour;
    };
    const over = ([r, g, b, alpha]: Colour, below: Colour): Colour => {
      const mix = (top: number, bottom: number) => top * alpha + bottom * (1 - alpha);
      return [mix(r, below[0]), mix(g, below[1]), mix(b, below[2]), 1];
    };
    const luminance = ([r, g, b]: Colour) => {
      const [x, y, z] = [r, g, b].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * x! + 0.7152 * y! + 0.0722 * z!;
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = new Set<string>();
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      if (element === null || node.nodeValue!.trim() === '' || !isSeen(element)) continue;
      if (element.closest('script, style, :disabled, [aria-disabled=true], [aria-hidden=true], .stale') !== null)
        continue;
      const style = getComputedStyle(element);
      const layers: Colour[] = [];
      let opacity = 1;
      for (let each: Element | null = element; each !== null; each = each.parentElement) {
        const own = getComputedStyle(each);
        opacity *= Number(own.opacity);
        const colour = parse(own.backgroundColor);
        if (colour[3] > 0) layers.push(colour);
        if (colour[3] === 1) break;
      }
      const ground = layers.reduceRight<Colour>((below, layer) => over(layer, below), parse('Canvas'));
      const [r, g, b, alpha] = parse(style.color);
      const ink = over([r, g, b, alpha * opacity], ground);
      const [light, dark] = [luminance(ink), luminance(ground)].sort((x, y) => y - x);
      const ratio = (light! + 0.05) / (dark! + 0.05);
      const size = Number.parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const key = `${style.color} ${ground}`;
      if (ratio >= (isLarge ? 3 : 4.5) || texts.has(key)) continue;
      texts.add(key);
      faults.add(`contrast is ${ratio.toFixed(2)}: "${node.nodeValue!.trim().slice(0, 40)}" in ${told(element)}`);
    }
    return [...faults].slice(0, 40);
  }, only);
}
