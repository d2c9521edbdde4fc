import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect } from 'react';
import { loginNeeded, send } from './api/http.ts';
import { ApiProblem } from './api/problem.ts';
import { Login } from './pages/login.tsx';
import { Failure } from './parts/failure.tsx';
import { Quiet } from './parts/quiet.tsx';

/** Who the pages act for, and what is served here: `src/app/routes/session.ts`. */
export interface Session {
  readonly user: string;
  /** Null: any. */
  readonly tenants: readonly string[] | null;
  readonly rights: readonly ('read' | 'write' | 'edit' | 'admin')[];
  readonly authentication: boolean;
  readonly tenancy: 'optional' | 'required' | 'single';
  readonly defaultTenant: string;
  readonly version: string;
  readonly apis: readonly string[];
  readonly pushPath: string;
  /** The tenant that holds the process' own metrics; null: it writes none. */
  readonly selfMonitoringTenant: string | null;
}

const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = use(SessionContext);
  if (session === undefined) throw new Error('bug: a page outside of its session');
  return session;
}

const KEY = ['session'];

/** The question who is there: asked as soon as the page runs, before anything is drawn. */
export const sessionQuery = queryOptions({
  queryKey: KEY,
  queryFn: async ({ signal }): Promise<Session | null> => {
    const response = await send({ path: '/api/v1/session', tenant: '' }, signal);
    return ((await response.json()) as { data: Session }).data;
  },
});

/** Asks who is there; without anybody, the login stands in place of the page, and the page comes back after it. */
export function SessionGate({ children }: { readonly children: ReactNode }) {
  const client = useQueryClient();
  const { data, error } = useQuery(sessionQuery);
  useEffect(() => {
    const again = () => client.setQueryData(KEY, null);
    loginNeeded.addEventListener('needed', again);
    return () => loginNeeded.removeEventListener('needed', again);
  }, [client]);
  const isOut = data === null || (error instanceof ApiProblem && error.status === 401);
  if (isOut) return <Login onDone={(session) => client.setQueryData(KEY, session)} />;
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return <SessionContext value={data}>{children}</SessionContext>;
}

/** The tenant that requests name; empty: none, and the server decides. */
export function tenantOf(session: Session, chosen: string | undefined): string {
  if (session.tenants !== null) {
    return chosen !== undefined && session.tenants.includes(chosen) ? chosen : (session.tenants[0] ?? '');
  }
  return session.tenancy === 'single' ? '' : (chosen ?? '');
}
