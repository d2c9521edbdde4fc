import {
  IconActivity,
  IconBell,
  IconBellOff,
  IconCoins,
  IconCompass,
  IconLayoutDashboard,
  type IconProps,
  IconStack2,
  IconTerminal2,
} from '@tabler/icons-react';
import { type ComponentType, lazy } from 'react';
import { QueryPage } from '../query/query-page.tsx';

export interface Page {
  /** Below `/ui`. */
  readonly path: string;
  readonly title: string;
  /** The key that leads to it, after `g`. */
  readonly letter: string;
  readonly icon: ComponentType<IconProps>;
  readonly component: ComponentType;
}

const SilencesPage = lazy(async () => ({ default: (await import('../alerts/silences-page.tsx')).SilencesPage }));

/** All pages, in the order of the rail. */
export const pages: readonly Page[] = [
  { path: '/query', title: 'Query', letter: 'q', icon: IconTerminal2, component: QueryPage },
  {
    path: '/explore',
    title: 'Explore',
    letter: 'e',
    icon: IconCompass,
    component: lazy(async () => ({ default: (await import('../explore/explore-page.tsx')).ExplorePage })),
  },
  {
    path: '/services',
    title: 'Services',
    letter: 's',
    icon: IconStack2,
    component: lazy(async () => ({ default: (await import('../services/services-page.tsx')).ServicesPage })),
  },
  {
    path: '/dashboards',
    title: 'Dashboards',
    letter: 'd',
    icon: IconLayoutDashboard,
    component: lazy(async () => ({ default: (await import('../dashboards/dashboards-page.tsx')).DashboardsPage })),
  },
  {
    path: '/alerts',
    title: 'Alerts',
    letter: 'a',
    icon: IconBell,
    component: lazy(async () => ({ default: (await import('../alerts/alerts-page.tsx')).AlertsPage })),
  },
  {
    path: '/costs',
    title: 'Costs',
    letter: 'c',
    icon: IconCoins,
    component: lazy(async () => ({ default: (await import('../costs/costs-page.tsx')).CostsPage })),
  },
  {
    path: '/operating',
    title: 'Operating',
    letter: 'o',
    icon: IconActivity,
    component: lazy(async () => ({ default: (await import('../operating/operating-page.tsx')).OperatingPage })),
  },
  { path: '/silences', title: 'Silences', letter: 'i', icon: IconBellOff, component: SilencesPage },
];

const ServicePage = lazy(async () => ({ default: (await import('../services/service-page.tsx')).ServicePage }));

const DashboardPage = lazy(async () => ({ default: (await import('../dashboards/dashboard-page.tsx')).DashboardPage }));

const RuleEditorPage = lazy(async () => ({ default: (await import('../rules/rule-editor-page.tsx')).RuleEditorPage }));
const RuleImportPage = lazy(async () => ({ default: (await import('../rules/rule-import-page.tsx')).RuleImportPage }));
const RoutingEditorPage = lazy(async () => ({
  default: (await import('../alerts/routing-editor-page.tsx')).RoutingEditorPage,
}));
const RoutingPage = lazy(async () => ({ default: (await import('../alerts/routing-page.tsx')).RoutingPage }));

/** Pages that others lead to. */
export const innerPages: readonly Pick<Page, 'path' | 'title' | 'component'>[] = [
  { path: '/service', title: 'Service', component: ServicePage },
  { path: '/dashboards/:id', title: 'Dashboard', component: DashboardPage },
  { path: '/rules/edit', title: 'Rules', component: RuleEditorPage },
  { path: '/rules/import', title: 'Import of rules', component: RuleImportPage },
  { path: '/routing', title: 'Routing', component: RoutingPage },
  { path: '/routing/edit', title: 'Configuration of the Alertmanager', component: RoutingEditorPage },
  { path: '/silences/:id', title: 'Silences', component: SilencesPage },
];
