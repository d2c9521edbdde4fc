import type { Dashboard, DashboardSummary, DashboardVersion, KeptDashboard } from '../contract/dashboard.ts';
import { AppError } from '../model/errors.ts';
import { dashboardErrors } from '../model/errors-dashboard.ts';
import { DASHBOARD_BYTES_MAX } from './read-dashboard.ts';

const DASHBOARDS = 'dashboard';
/** Dashboards of a tenant. */
const DASHBOARDS_MAX = 1_000;
/** Rows of lists that are remembered, of all tenants. */
const SUMMARIES_MAX = 5_000;
/** Contents that are read at once. */
const READ_AT_ONCE = 8;
/** A place that a dashboard is kept under. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;

interface DashboardKey {
  readonly tenant: string;
  readonly kind: string;
  readonly name: string;
}

/** A dashboard's document without its content. */
interface DashboardHead {
  readonly name: string;
  readonly version: DashboardVersion;
}

/** The table where dashboards lie: `Documents`. */
export interface DashboardDocuments {
  get(key: DashboardKey, signal?: AbortSignal): Promise<(DashboardHead & { readonly content: Uint8Array }) | undefined>;
  heads(tenant: string, kind: string, signal?: AbortSignal): Promise<readonly DashboardHead[]>;
  versions(key: DashboardKey, signal?: AbortSignal): Promise<readonly DashboardVersion[]>;
  contentOf(key: DashboardKey, number: number, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  put(
    key: DashboardKey,
    content: Uint8Array,
    change: { readonly user: string; readonly expected?: number },
    signal?: AbortSignal,
  ): Promise<DashboardVersion>;
  delete(
    key: DashboardKey,
    change: { readonly user: string; readonly expected?: number },
    signal?: AbortSignal,
  ): Promise<DashboardVersion | undefined>;
}

/** Dashboards that tenants keep, each with its versions. Two who change the same one do not overwrite each other. */
export class DashboardBook {
  readonly #documents: DashboardDocuments;
  readonly #randomBytes: (count: number) => Uint8Array;
  readonly #dashboardsMax: number;
  /** By tenant, id and version. */
  readonly #summaries = new Map<string, DashboardSummary>();

  constructor(
    documents: DashboardDocuments,
    randomBytes: (count: number) => Uint8Array,
    dashboardsMax = DASHBOARDS_MAX,
  ) {
    this.#documents = documents;
    this.#randomBytes = randomBytes;
    this.#dashboardsMax = dashboardsMax;
  }

  /** Ascending by title. */
  async list(tenant: string, signal: AbortSignal): Promise<DashboardSummary[]> {
    const heads = await this.#documents.heads(tenant, DASHBOARDS, signal);
    const found: DashboardSummary[] = [];
    for (let from = 0; from < heads.length; from += READ_AT_ONCE) {
      const some = heads.slice(from, from + READ_AT_ONCE);
      for (const each of await Promise.all(some.map((head) => this.#summary(tenant, head, signal)))) {
        if (each !== undefined) found.push(each);
      }
    }
    return found.sort((a, b) => (a.title === b.title ? (a.id < b.id ? -1 : 1) : a.title < b.title ? -1 : 1));
  }

  /** @throws dashboardErrors.dashboardUnknown */
  async get(tenant: string, id: string, signal: AbortSignal): Promise<KeptDashboard> {
    const found = await this.#documents.get(keyOf(tenant, id), signal);
    if (found === undefined) throw dashboardErrors.dashboardUnknown({ id });
    return { id, version: found.version, dashboard: dashboardFrom(found.content) };
  }

  /** An earlier version. @throws dashboardErrors.dashboardUnknown */
  async versionOf(tenant: string, id: string, number: number, signal: AbortSignal): Promise<KeptDashboard> {
    const key = keyOf(tenant, id);
    const version = (await this.#documents.versions(key, signal)).find((each) => each.number === number);
    const content = version && (await this.#documents.contentOf(key, number, signal));
    if (content === undefined) throw dashboardErrors.dashboardUnknown({ id, version: number });
    return { id, version: version!, dashboard: dashboardFrom(content) };
  }

  /** The oldest first. @throws dashboardErrors.dashboardUnknown */
  async versions(tenant: string, id: string, signal: AbortSignal): Promise<readonly DashboardVersion[]> {
    const found = await this.#documents.versions(keyOf(tenant, id), signal);
    if (found.length === 0) throw dashboardErrors.dashboardUnknown({ id });
    return found;
  }

  /** Keeps a new one, under an id that its title makes. @throws dashboardErrors.dashboardLimit, dashboardInvalid */
  async add(tenant: string, dashboard: Dashboard, user: string, signal: AbortSignal): Promise<KeptDashboard> {
    const base = slugOf(dashboard.spec.display.name);
    const taken = new Set((await this.#documents.heads(tenant, DASHBOARDS, signal)).map(({ name }) => name));
    for (let tries = 0; ; tries++) {
      const id = tries === 0 ? base : `${base}-${Buffer.from(this.#randomBytes(4)).toString('hex')}`;
      if (taken.has(id)) continue;
      try {
        return await this.put(tenant, id, dashboard, { user, expected: 0 }, signal);
      } catch (thrown) {
        // another took the id meanwhile
        if (!(thrown instanceof AppError) || thrown.facts.http !== 409 || tries > 4) throw thrown;
      }
    }
  }

  /**
   * Keeps a dashboard under its id in place of a version.
   *
   * @throws storeErrors.documentChanged where another version than the expected one is there; dashboardErrors
   */
  async put(
    tenant: string,
    id: string,
    dashboard: Dashboard,
    change: { readonly user: string /** 0: there is none. */; readonly expected: number },
    signal: AbortSignal,
  ): Promise<KeptDashboard> {
    const named = { ...dashboard, metadata: { ...dashboard.metadata, name: id, project: tenant } };
    const content = Buffer.from(JSON.stringify(named));
    if (content.length > DASHBOARD_BYTES_MAX) {
      const reason = `it takes ${content.length} bytes, more than ${DASHBOARD_BYTES_MAX}`;
      throw dashboardErrors.dashboardInvalid({ reason });
    }
    if (change.expected === 0) {
      const heads = await this.#documents.heads(tenant, DASHBOARDS, signal);
      const limit = this.#dashboardsMax;
      if (heads.length >= limit) throw dashboardErrors.dashboardLimit({ limit });
    }
    const version = await this.#documents.put(keyOf(tenant, id), content, change, signal);
    return { id, version, dashboard: named };
  }

  /** @throws as put */
  async delete(
    tenant: string,
    id: string,
    change: { readonly user: string; readonly expected?: number },
    signal: AbortSignal,
  ): Promise<void> {
    const gone = await this.#documents.delete(keyOf(tenant, id), change, signal);
    if (gone === undefined) throw dashboardErrors.dashboardUnknown({ id });
  }

  /** Undefined where it was deleted meanwhile. */
  async #summary(tenant: string, head: DashboardHead, signal: AbortSignal): Promise<DashboardSummary | undefined> {
    const key = JSON.stringify([tenant, head.name, head.version.number]);
    const known = this.#summaries.get(key);
    if (known !== undefined) return known;
    const found = await this.#documents.get({ tenant, kind: DASHBOARDS, name: head.name }, signal);
    if (found === undefined) return undefined;
    const { metadata, spec } = dashboardFrom(found.content);
    const summary: DashboardSummary = {
      id: head.name,
      version: found.version,
      title: spec.display.name,
      description: (spec.display.description ?? '').slice(0, 500),
      tags: (spec.tags ?? []).slice(0, 20),
      folder: metadata.folder ?? '',
      panels: Object.keys(spec.panels).length,
    };
    if (found.version.number !== head.version.number) return summary;
    for (const oldest of this.#summaries.keys()) {
      if (this.#summaries.size < SUMMARIES_MAX) break;
      this.#summaries.delete(oldest);
    }
    this.#summaries.set(key, summary);
    return summary;
  }
}

/** @throws dashboardErrors.dashboardInvalid */
function keyOf(tenant: string, id: string): DashboardKey {
  if (!ID.test(id)) {
    const reason = `its id ${JSON.stringify(id.slice(0, 100))} is not up to 100 letters, digits, - and _`;
    throw dashboardErrors.dashboardInvalid({ reason });
  }
  return { tenant, kind: DASHBOARDS, name: id };
}

function dashboardFrom(content: Uint8Array): Dashboard {
  return JSON.parse(Buffer.from(content).toString()) as Dashboard;
}

/** The letters of a title, for an id that can be read. */
function slugOf(title: string): string {
  const slug = title
    .slice(0, 200)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 60)
    .replaceAll(/^-+|-+$/g, '');
  return slug === '' ? 'dashboard' : slug;
}
