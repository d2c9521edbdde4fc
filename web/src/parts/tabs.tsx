import { SegmentedControl } from '@mantine/core';
import { useParam } from './use-param.ts';

export interface Tab {
  readonly name: string;
  readonly title: string;
  readonly content: React.ComponentType;
}

/** Parts of a page, one of which is shown; which one stands in the address. */
export function Tabs({ tabs, label }: { readonly tabs: readonly Tab[]; readonly label: string }) {
  const [chosen, choose] = useParam('view');
  const [first] = tabs;
  const { name, content: Content } = tabs.find((tab) => tab.name === chosen) ?? first!;
  return (
    <>
      <div className="scrolled tabs">
        <SegmentedControl
          size="xs"
          aria-label={label}
          value={name}
          onChange={choose}
          data={tabs.map((tab) => ({ value: tab.name, label: tab.title }))}
        />
      </div>
      <div className="scrolled">
        <Content key={name} />
      </div>
    </>
  );
}
