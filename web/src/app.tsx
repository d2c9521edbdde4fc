import { AppShell, Box, Kbd, Modal, Text, Tooltip } from '@mantine/core';
import { Suspense, useEffect, useRef, useState } from 'react';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import { innerPages, pages } from './pages/pages.tsx';
import { Header } from './parts/header.tsx';
import { keptParams } from './parts/kept-params.ts';
import { Quiet } from './parts/quiet.tsx';
import { ScopeProvider, useScope } from './scope.tsx';

/** All pages in their frame. */
export function App() {
  return (
    <ScopeProvider>
      <AppShell header={{ height: 44 }} navbar={{ width: { base: 48, lg: 84 }, breakpoint: 0 }} padding="sm">
        <AppShell.Header>
          <Header />
        </AppShell.Header>
        <AppShell.Navbar>
          <Rail />
        </AppShell.Navbar>
        <AppShell.Main>
          <PageHeading />
          <Suspense fallback={<Quiet />}>
            <Switch>
              {[...pages, ...innerPages].map(({ path, component }) => (
                <Route key={path} path={path} component={component} />
              ))}
              <Route path="/alertmanager" component={FromAlertmanager} />
              <Route path="/">
                <Redirect to="/query" replace />
              </Route>
              <Route>
                <Text>There is no such page.</Text>
              </Route>
            </Switch>
          </Suspense>
          <Shortcuts />
        </AppShell.Main>
      </AppShell>
    </ScopeProvider>
  );
}

function Rail() {
  useTitle();
  const [location] = useLocation();
  return (
    <nav aria-label="pages" className="rail">
      {pages.map(({ path, title, icon: Icon, letter }) => (
        <Tooltip key={path} label={`${title} (g ${letter})`} position="right">
          <Link
            href={path + keptParams()}
            className="rail-link"
            aria-label={title}
            aria-current={isAt(location, path) ? 'page' : undefined}
          >
            <Icon size={20} stroke={1.6} />
            <span className="rail-name">{title}</span>
          </Link>
        </Tooltip>
      ))}
    </nav>
  );
}

/** The page in the title of the window: for tabs, bookmarks, and whoever has pages read out. */
function useTitle(): void {
  const [location] = useLocation();
  const { tenant } = useScope();
  useEffect(() => {
    document.title = [titleAt(location), tenant.slice(0, 100), 'Pallium'].filter(Boolean).join(' · ');
  }, [location, tenant]);
}

/** The heading that readers of screens jump to; whoever sees has the rail. */
function PageHeading() {
  const [location] = useLocation();
  return <h1 className="unseen">{titleAt(location) ?? 'Pallium'}</h1>;
}

function titleAt(location: string): string | undefined {
  const isInner = (path: string) =>
    path.endsWith(':id') ? location.startsWith(path.slice(0, -':id'.length)) : location === path;
  return (innerPages.find(({ path }) => isInner(path)) ?? pages.find(({ path }) => isAt(location, path)))?.title;
}

function isAt(location: string, path: string): boolean {
  return location === path || location.startsWith(`${path}/`) || `${location}s` === path;
}

/** Addresses as Alertmanager's own pages have them, behind `#`. */
function FromAlertmanager() {
  const [, page, rest = ''] = /^#\/(alerts|silences)(\/[\w-]+)?/.exec(window.location.hash) ?? [];
  const query = new URLSearchParams(window.location.hash.split('?')[1] ?? '');
  const params = new URLSearchParams(keptParams());
  const filter = query.get('filter');
  if (filter !== null) params.set('filter', filter);
  const to = page === 'silences' ? `/silences${rest}` : '/alerts';
  return <Redirect to={params.size === 0 ? to : `${to}?${params}`} replace />;
}

const KEYS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['/'], 'write a query'],
  [['ctrl', 'enter'], 'run it'],
  [['r'], 'ask all again'],
  [['?'], 'this list'],
];

/** Keys, heeded wherever nothing is typed. */
function Shortcuts() {
  const [, navigate] = useLocation();
  const { refresh } = useScope();
  const [helping, setHelping] = useState(false);
  const afterG = useRef(0);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      const page =
        event.timeStamp - afterG.current < 1_500 ? pages.find(({ letter }) => letter === event.key) : undefined;
      afterG.current = event.key === 'g' ? event.timeStamp : 0;
      if (page !== undefined) navigate(page.path + keptParams());
      else if (event.key === '?') setHelping(true);
      else if (event.key === 'r') refresh();
      else if (event.key === '/') document.querySelector<HTMLElement>('.cm-content, textarea.expr')?.focus();
      else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, [navigate, refresh]);
  return (
    <Modal opened={helping} onClose={() => setHelping(false)} title="Keys" closeButtonProps={{ 'aria-label': 'close' }}>
      <Box component="dl" className="keys">
        {[...KEYS, ...pages.map(({ letter, title }) => [['g', letter], title] as const)].map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </Box>
    </Modal>
  );
}
