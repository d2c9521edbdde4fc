import { NoDataYet } from '../parts/no-data-yet.tsx';
import { type Tab, Tabs } from '../parts/tabs.tsx';
import { CardinalityTab } from './cardinality-tab.tsx';
import { DeletesTab } from './deletes-tab.tsx';
import { SavingsTab } from './savings-tab.tsx';
import './costs.css';
import { UseTab } from './use-tab.tsx';

const TABS: readonly Tab[] = [
  { name: 'series', title: 'Series', content: CardinalityTab },
  { name: 'use', title: 'Use', content: UseTab },
  { name: 'savings', title: 'Savings', content: SavingsTab },
  { name: 'deletes', title: 'Deletes', content: DeletesTab },
];

/** Costs of a tenant's metrics, who uses them, what would be saved, and what is deleted. */
export function CostsPage() {
  return (
    <>
      <NoDataYet />
      <Tabs tabs={TABS} label="costs" />
    </>
  );
}
