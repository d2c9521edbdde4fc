import { type ReactNode, useMemo } from 'react';
import type { Dashboard, GridItem } from '../../../src/contract/dashboard.ts';
import { settled } from './grid.ts';
import { panelAt } from './model.ts';
import { PanelView } from './panel-view.tsx';
import { NO_VALUES, type Values } from './variables.ts';

const PANELS_MAX = 500;

export interface DashboardViewProps {
  readonly dashboard: Dashboard;
  readonly intervalMs: number;
  readonly values?: Values;
  /** Buttons beside a section's title, and over an item, while it is edited. */
  readonly sectionTools?: (section: number) => ReactNode;
  readonly itemTools?: (section: number, at: number, item: GridItem) => ReactNode;
}

/** Sections of panels on a grid; on a narrow screen below each other. */
export function DashboardView(props: DashboardViewProps) {
  const { dashboard, intervalMs, values = NO_VALUES, sectionTools, itemTools } = props;
  const sections = useMemo(
    () => dashboard.spec.layouts.map(({ spec }) => ({ ...spec, items: settled(spec.items.slice(0, PANELS_MAX)) })),
    [dashboard],
  );
  return (
    <>
      {sections.map(({ display, items }, section) => (
        <Section
          // biome-ignore lint/suspicious/noArrayIndexKey: a section is its place
          key={section}
          title={display?.title?.slice(0, 200) ?? ''}
          isOpen={display?.collapse?.open !== false}
          count={items.length}
          tools={sectionTools?.(section)}
        >
          <Grid
            dashboard={dashboard}
            items={items}
            intervalMs={intervalMs}
            values={values}
            tools={(at, item) => itemTools?.(section, at, item)}
          />
        </Section>
      ))}
    </>
  );
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
  readonly items: readonly GridItem[];
  readonly intervalMs: number;
  readonly values: Values;
  readonly tools: (at: number, item: GridItem) => ReactNode;
}

function Grid({ dashboard, items, intervalMs, values, tools }: GridProps) {
  return (
    <div className="grid">
      {items.map((item, at) => {
        const { x, y, width, height, content } = item;
        const panel = panelAt(dashboard, content.$ref);
        return panel === undefined ? null : (
          <div
            key={content.$ref}
            className="grid-item"
            style={{ gridColumn: `${x + 1} / span ${width}`, gridRow: `${y + 1} / span ${height}` }}
          >
            <PanelView panel={panel} intervalMs={intervalMs} values={values} rows={height} />
            {tools(at, item)}
          </div>
        );
      })}
    </div>
  );
}
