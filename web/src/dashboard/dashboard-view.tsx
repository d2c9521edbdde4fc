import { type Dashboard, panelAt } from './model.ts';
import { PanelView } from './panel-view.tsx';

const COLUMNS = 24;
const PANELS_MAX = 500;

/** Sections of panels on a grid; on a narrow screen below each other. */
export function DashboardView({
  dashboard,
  intervalMs,
}: {
  readonly dashboard: Dashboard;
  readonly intervalMs: number;
}) {
  return (
    <>
      {dashboard.spec.layouts.map(({ spec: { display, items } }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a section is its place
        <details key={i} className="section" open={display?.collapse?.open !== false}>
          <summary>
            {display?.title.slice(0, 200) ?? ''} <span className="dim">{items.length}</span>
          </summary>
          <div className="grid">
            {items.slice(0, PANELS_MAX).map(({ x, width, content }) => {
              const panel = panelAt(dashboard, content.$ref);
              const from = Math.min(COLUMNS, Math.max(0, x)) + 1;
              return panel === undefined ? null : (
                <div
                  key={content.$ref}
                  className="grid-item"
                  style={{ gridColumn: `${from} / span ${Math.min(COLUMNS, Math.max(1, width))}` }}
                >
                  <PanelView panel={panel} intervalMs={intervalMs} />
                </div>
              );
            })}
          </div>
        </details>
      ))}
    </>
  );
}
