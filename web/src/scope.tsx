import { createContext, type ReactNode, use, useCallback, useEffect, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import { parseDuration, printDuration } from './model/duration.ts';
import { parseTime, printTime, RANGE_DEFAULT_MS } from './model/url-state.ts';
import { tenantOf, useSession } from './session.tsx';

export type Zone = 'local' | 'utc';

/** The settings of the header, for all pages: they stand in the address, but for the zone. */
export interface Scope {
  readonly tenant: string;
  readonly rangeMs: number;
  /** Undefined: now. */
  readonly endMs: number | undefined;
  /** 0: off. */
  readonly refreshMs: number;
  readonly zone: Zone;
  setTenant(tenant: string): void;
  setTime(rangeMs: number, endMs: number | undefined): void;
  setRefresh(ms: number): void;
  setZone(zone: Zone): void;
  /** Goes up by one whenever all is to be asked anew. */
  readonly round: number;
  refresh(): void;
}

const ScopeContext = createContext<Scope | undefined>(undefined);

export function useScope(): Scope {
  const scope = use(ScopeContext);
  if (scope === undefined) throw new Error('bug: a page outside of its scope');
  return scope;
}

const ZONE_KEY = 'pallium.zone';
const TENANT_KEY = 'pallium.tenant';

export function ScopeProvider({ children }: { readonly children: ReactNode }) {
  const session = useSession();
  const search = useSearch();
  const setParams = useParamSetter();
  const [zone, setZone] = useState<Zone>(() => (stored(ZONE_KEY) === 'utc' ? 'utc' : 'local'));
  const [round, setRound] = useState(0);
  const scope = useMemo<Scope>(() => {
    const params = new URLSearchParams(search);
    const rangeMs = parseDuration(params.get('range') ?? params.get('g0.range_input') ?? '') ?? RANGE_DEFAULT_MS;
    return {
      tenant: tenantOf(session, params.get('tenant') ?? stored(TENANT_KEY)),
      rangeMs,
      endMs: parseTime(params.get('end') ?? params.get('g0.end_input') ?? ''),
      refreshMs: parseDuration(params.get('refresh') ?? '') ?? 0,
      zone,
      round,
      setTenant(tenant) {
        store(TENANT_KEY, tenant);
        setParams((all) => (tenant === '' ? all.delete('tenant') : all.set('tenant', tenant)));
      },
      setTime(nextRangeMs, endMs) {
        setParams((all) => {
          // panels that stand in the address follow the header
          const panels = [...all.keys()].flatMap((key) => /^g\d+(?=\.)/.exec(key) ?? []);
          for (const panel of new Set(panels)) {
            all.set(`${panel}.range_input`, printDuration(nextRangeMs));
            for (const name of ['end_input', 'moment_input']) {
              if (endMs === undefined) all.delete(`${panel}.${name}`);
              else all.set(`${panel}.${name}`, printTime(endMs));
            }
          }
          all.set('range', printDuration(nextRangeMs));
          if (endMs === undefined) all.delete('end');
          else all.set('end', printTime(endMs));
        });
      },
      setRefresh: (ms) =>
        setParams((all) => (ms === 0 ? all.delete('refresh') : all.set('refresh', printDuration(ms)))),
      setZone(next) {
        store(ZONE_KEY, next);
        setZone(next);
      },
      refresh: () => setRound((before) => before + 1),
    };
  }, [search, session, zone, round, setParams]);
  useTenantInAddress(scope.tenant);
  return <ScopeContext value={scope}>{children}</ScopeContext>;
}

/** Puts the tenant of the last visit into the address: whoever gets the link sees the same. */
function useTenantInAddress(tenant: string): void {
  const [path, navigate] = useLocation();
  const search = useSearch();
  // biome-ignore lint/correctness/useExhaustiveDependencies: each address is looked at, as it is by then: a page may have led on
  useEffect(() => {
    const { pathname, hash } = window.location;
    const params = new URLSearchParams(window.location.search);
    if (tenant === '' || params.has('tenant')) return;
    params.set('tenant', tenant);
    navigate(`~${pathname}?${params}${hash}`, { replace: true });
  }, [tenant, path, search, navigate]);
}

/** Changes parameters of the address, and leaves the page where it is. */
export function useParamSetter(): (change: (params: URLSearchParams) => unknown) => void {
  const [, navigate] = useLocation();
  return useCallback(
    (change) => {
      const params = new URLSearchParams(window.location.search);
      change(params);
      const query = params.toString();
      if (`?${query}` === window.location.search) return;
      const path = window.location.pathname;
      navigate(`~${path}${query === '' ? '' : `?${query}`}`);
    },
    [navigate],
  );
}

/** Whether the tab is looked at. */
export function useVisible(): boolean {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return visible;
}

/** A browser may refuse to keep anything. */
export function stored(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // then it holds until the tab is closed
  }
}
