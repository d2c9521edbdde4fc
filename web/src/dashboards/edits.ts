import type {
  Dashboard,
  DashboardSpec,
  GridItem,
  Layout,
  Panel,
  PanelRepeat,
} from '../../../src/contract/dashboard.ts';
import { placeBelow, settled, withMoved } from '../dashboard/grid.ts';

// Changes of a dashboard, each a new one.

/** A place on the grid of a section. */
export interface ItemPlace {
  readonly section: number;
  readonly at: number;
}

const REF = '#/spec/panels/';

export function keyOf({ content }: GridItem): string {
  return content.$ref.slice(REF.length);
}

export function withSpec(dashboard: Dashboard, change: Partial<DashboardSpec>): Dashboard {
  return { ...dashboard, spec: { ...dashboard.spec, ...change } };
}

export function withPanel(dashboard: Dashboard, key: string, panel: Panel): Dashboard {
  return withSpec(dashboard, { panels: { ...dashboard.spec.panels, [key]: panel } });
}

/** Has a place drawn once for each value of a variable; undefined: once. */
export function withItemRepeat(dashboard: Dashboard, place: ItemPlace, repeat: PanelRepeat | undefined): Dashboard {
  const layouts = dashboard.spec.layouts.map((layout, i) => {
    if (i !== place.section) return layout;
    return withItems(
      layout,
      layout.spec.items.map((item, j) => {
        if (j !== place.at) return item;
        const { repeat: _, ...once } = item;
        return repeat === undefined ? once : { ...once, repeat };
      }),
    );
  });
  return withSpec(dashboard, { layouts });
}

/** Has a section drawn once for each value of a variable; empty: once. */
export function withSectionRepeat(dashboard: Dashboard, section: number, variable: string): Dashboard {
  const layouts = dashboard.spec.layouts.map((layout, i) => {
    if (i !== section) return layout;
    const { repeatVariable: _, ...once } = layout.spec;
    return { ...layout, spec: variable === '' ? once : { ...once, repeatVariable: variable } };
  });
  return withSpec(dashboard, { layouts });
}

/** A panel more, at the end of a section; without a section, in one that is made. */
export function withNewPanel(dashboard: Dashboard, section: number, panel: Panel, like?: GridItem): Dashboard {
  const { panels, layouts } = dashboard.spec;
  let number = Object.keys(panels).length;
  while (Object.hasOwn(panels, `panel-${number}`)) number++;
  const key = `panel-${number}`;
  const all = layouts.length === 0 ? [EMPTY_SECTION] : layouts;
  const at = Math.min(Math.max(0, section), all.length - 1);
  const next = all.map((layout, i) => {
    if (i !== at) return layout;
    const items = settled(layout.spec.items);
    const place = placeBelow(items, like === undefined ? undefined : { width: like.width, height: like.height });
    return withItems(layout, [...items, { ...place, content: { $ref: REF + key } }]);
  });
  return withSpec(dashboard, { panels: { ...panels, [key]: panel }, layouts: next });
}

export function withoutItem(dashboard: Dashboard, section: number, at: number): Dashboard {
  const layouts = dashboard.spec.layouts.map((layout, i) =>
    i === section ? withItems(layout, settled(layout.spec.items.filter((_, j) => j !== at))) : layout,
  );
  const used = new Set(layouts.flatMap(({ spec }) => spec.items.map(keyOf)));
  const panels = Object.fromEntries(Object.entries(dashboard.spec.panels).filter(([key]) => used.has(key)));
  return withSpec(dashboard, { layouts, panels });
}

export function withItemMoved(
  dashboard: Dashboard,
  section: number,
  at: number,
  change: Partial<Pick<GridItem, 'x' | 'y' | 'width' | 'height'>>,
): Dashboard {
  const layouts = dashboard.spec.layouts.map((layout, i) =>
    i === section ? withItems(layout, withMoved(settled(layout.spec.items), at, change)) : layout,
  );
  return withSpec(dashboard, { layouts });
}

export function withSection(dashboard: Dashboard, title: string): Dashboard {
  const display = { title, collapse: { open: true } };
  const layout: Layout = { kind: 'Grid', spec: { display, items: [] } };
  return withSpec(dashboard, { layouts: [...dashboard.spec.layouts, layout] });
}

export function withSectionTitle(dashboard: Dashboard, section: number, title: string): Dashboard {
  const layouts = dashboard.spec.layouts.map((layout, i) => {
    if (i !== section) return layout;
    const display = { ...layout.spec.display, title };
    return { ...layout, spec: { ...layout.spec, display } };
  });
  return withSpec(dashboard, { layouts });
}

/** A section goes with its panels. */
export function withoutSection(dashboard: Dashboard, section: number): Dashboard {
  const layouts = dashboard.spec.layouts.filter((_, i) => i !== section);
  const used = new Set(layouts.flatMap(({ spec }) => spec.items.map(keyOf)));
  const panels = Object.fromEntries(Object.entries(dashboard.spec.panels).filter(([key]) => used.has(key)));
  return withSpec(dashboard, { layouts, panels });
}

export const EMPTY_PANEL_MODEL: Panel = {
  kind: 'Panel',
  spec: {
    display: { name: 'New panel' },
    plugin: { kind: 'TimeSeriesChart', spec: { yAxis: { format: { unit: 'decimal' } } } },
    queries: [],
  },
};

const EMPTY_SECTION: Layout = { kind: 'Grid', spec: { display: { title: '', collapse: { open: true } }, items: [] } };

export function newDashboard(title: string): Dashboard {
  return {
    kind: 'Dashboard',
    metadata: { name: '', project: '' },
    spec: { display: { name: title }, duration: '1h', variables: [], panels: {}, layouts: [EMPTY_SECTION] },
  };
}

function withItems(layout: Layout, items: readonly GridItem[]): Layout {
  return { ...layout, spec: { ...layout.spec, items } };
}
