import { type Tab, Tabs } from '../parts/tabs.tsx';
import { useSession } from '../session.tsx';
import { ClusterTab } from './cluster-tab.tsx';
import { ConfigTab } from './config-tab.tsx';
import '../costs/costs.css';
import { ProcessTab } from './process-tab.tsx';
import { QueriesTab } from './queries-tab.tsx';
import { TenantsTab, TenantTab } from './tenants-tab.tsx';

const OWN: readonly Tab[] = [
  { name: 'queries', title: 'Queries', content: QueriesTab },
  { name: 'tenant', title: 'Use and limits', content: TenantTab },
];
const OF_ALL: readonly Tab[] = [
  { name: 'tenants', title: 'Tenants', content: TenantsTab },
  { name: 'cluster', title: 'Cluster', content: ClusterTab },
  { name: 'process', title: 'Process', content: ProcessTab },
  { name: 'config', title: 'Configuration', content: ConfigTab },
];

/** Queries and limits of the tenant; for operators, the process and all tenants. */
export function OperatingPage() {
  const { rights, tenants } = useSession();
  // whoever is bound to tenants reaches nothing of the process
  const isOperator = rights.includes('admin') && tenants === null;
  return <Tabs tabs={isOperator ? [...OWN, ...OF_ALL] : OWN} label="operating" />;
}
