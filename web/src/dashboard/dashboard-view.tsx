import { type ReactNode, useMemo } from 'react';
import type { Dashboard, GridItem } from '../../../src/contract/dashboard.ts';
import { settled } from './grid.ts';
import { panelAt } from './model.ts';
import { PanelView } from './panel-view.tsx';
import { type Choices, type PlacedItem, type PlacedSection, sectionsOf } from './repeats.ts';
import { interpolated, NO_VALUES, type Values } from './variables.ts';

const PANELS_MAX = 500;

export interface DashboardViewProps {
  readonly dashboard: Dashboard;
  readonly intervalMs: number;
  readonly values?: Values;
  /** Values that variables offer, for panels that are repeated over one. */
  readonly choices?: Choices;
  /** Buttons beside a section's title, and over an item, while it is edited. */
  readonly sectionTools?: (section: number) => ReactNode;
  readonly itemTools?: (section: number, at: number, item: GridItem) => ReactNode;
}

/** Sections of panels on a grid; on a narrow screen below each other. */
export function DashboardView(props: DashboardViewProps) {
  const { dashboard, intervalMs, values = NO_VALUES, choices = NO_CHOICES, sectionTools, itemTools } = props;
  // while it is edited each panel is where it stands, once
  const isEdited = itemTools !== undefined;
  const sections = useMemo(
    () => (isEdited ? editedSections(dashboard) : sectionsOf(dashboard, values, choices)),
    [dashboard, isEdited, values, choices],
  );
  return (
    <>
      {sections.map(({ layout: { display }, key, at, own = values, items }) => (
        <Section
          key={key}
          title={interpolated(display?.title ?? '', own).slice(0, 200)}
          isOpen={display?.collapse?.open !== false}
          count={items.length}
          tools={sectionTools?.(at)}
        >
          <Grid
            dashboard={dashboard}
            items={items.slice(0, PANELS_MAX)}
            intervalMs={intervalMs}
            values={own}
            tools={(place, item) => itemTools?.(at, place, item)}
          />
        </Section>
      ))}
    </>
  );
}

const NO_CHOICES: Choices = new Map();

function editedSections({ spec }: Dashboard): PlacedSection[] {
  return spec.layouts.map(({ spec: layout }, at) => ({
    layout,
    key: String(at),
    at,
    items: settled(layout.items.slice(0, PANELS_MAX)).map((item) => ({ item, key: item.content.$ref })),
  }));
}

interface SectionProps {
  readonly title: string;
  readonly isOpen: boolean;
  readonly count: number;
  readonly tools: ReactNode;
  readonly children: ReactNode;
}

/** A heading that folds its panels; where there is none to show, the panels alone. */
function Section({ title, isOpen, count, tools, children }: SectionProps) {
  if (title === '' && isOpen && tools === undefined) return <section>{children}</section>;
  return (
    <details className="section" open={isOpen}>
      <summary>
        {tools === undefined && title} <span className="dim">{count}</span> {tools}
      </summary>
      {children}
    </details>
  );
}

interface GridProps {
  readonly dashboard: Dashboard;
  readonly items: readonly PlacedItem[];
  readonly intervalMs: number;
  readonly values: Values;
  readonly tools: (at: number, item: GridItem) => ReactNode;
}

function Grid({ dashboard, items, intervalMs, values, tools }: GridProps) {
  return (
    <div className="grid">
      {items.map(({ item, key, own = values }, at) => {
        const { x, y, width, height, content } = item;
        const panel = panelAt(dashboard, content.$ref);
        return panel === undefined ? null : (
          <div
            key={key}
            className="grid-item"
            style={{ gridColumn: `${x + 1} / span ${width}`, gridRow: `${y + 1} / span ${height}` }}
          >
            <PanelView panel={panel} intervalMs={intervalMs} values={own} rows={height} />
            {tools(at, item)}
          </div>
        );
      })}
    </div>
  );
}
