import { Button, Group } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useLocation } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import { EMPTY_PANEL, PANELS_MAX, type PanelState, parsePanels, printPanels } from '../model/url-state.ts';
import { NoDataYet } from '../parts/no-data-yet.tsx';
import { useScope } from '../scope.tsx';
import { Panel } from './panel.tsx';

/** Panels with a query each; all of their state stands in the address. */
export function QueryPage() {
  const search = useSearch();
  const [location, navigate] = useLocation();
  const scope = useScope();
  const panels = useMemo(() => {
    const found = parsePanels(search);
    const isFresh = !/[?&]g\d+\./.test(search);
    // a page without panels shows the header's time
    return isFresh ? [{ ...EMPTY_PANEL, rangeMs: scope.rangeMs, endMs: scope.endMs }] : found;
  }, [search, scope.rangeMs, scope.endMs]);
  const set = (next: readonly PanelState[]) => {
    const query = printPanels(next, window.location.search);
    navigate(`${location}?${query}`);
  };
  return (
    <>
      <NoDataYet />
      {panels.map((panel, i) => (
        <Panel
          // biome-ignore lint/suspicious/noArrayIndexKey: a panel is its place
          key={i}
          panel={panel}
          onChange={(change) => set(panels.with(i, { ...panel, ...change }))}
          onZoom={(startMs, endMs) =>
            set(panels.map((one) => ({ ...one, rangeMs: Math.max(1_000, endMs - startMs), endMs })))
          }
          onRemove={panels.length > 1 ? () => set(panels.filter((_, at) => at !== i)) : undefined}
        />
      ))}
      <Group>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconPlus size={14} />}
          disabled={panels.length >= PANELS_MAX}
          onClick={() => set([...panels, { ...EMPTY_PANEL, rangeMs: scope.rangeMs, endMs: scope.endMs }])}
        >
          Add panel
        </Button>
      </Group>
    </>
  );
}
