import type { TlsOptions } from 'node:tls';
import type { MessagePort } from 'node:worker_threads';
import type { ApiAsker, ApiRequest, ApiResponse } from '../../contract/api.ts';
import type { EdgeAnswer, EdgePush } from '../../distributor/edge-push.ts';
import type { LocalSlots } from '../../distributor/local-slots.ts';
import type { WriteCounts } from '../../distributor/service.ts';
import type { AuthConfig, ServerConfig, TenantFederationConfig } from '../../kit/http/config.ts';
import type { HttpRequest, HttpResponse, Route } from '../../kit/http/message.ts';
import type { User } from '../../kit/http/users.ts';
import type { MetricSnapshot } from '../../kit/observe/metrics.ts';
import type { CallContext, Transferred } from '../../kit/thread/channel.ts';
import type { ThreadsRoomMemory } from '../../kit/thread/threads-room.ts';
import type { LimitsMessage } from '../../limits/limits-table.ts';
import type { EndedQuery } from '../../querier/query-book.ts';
import type { DirectData } from '../threads/direct-querier.ts';
import type { EdgeOfShardsOptions } from '../threads/edge-of-shards.ts';
import type { ShardConnection, ShardReplacement } from '../threads/shard-connection.ts';

// A front thread and the main thread, as each asks the other.

/** A front thread answers to these calls. */
export type FrontRole = {
  /** First of all: the way to the main thread. */
  connect(request: { readonly host: MessagePort }): void;
  /** Ports on which the shards answer, in their order: from now on it takes writes. */
  connectShards(request: { readonly shards: readonly MessagePort[] }): void;
  /** The way to a shard that was started again. */
  reconnect(request: ShardReplacement): void;
  /** Takes a write that came elsewhere. */
  push(request: EdgePush): Promise<EdgeAnswer>;
  /** The way to the memory of a shard that was started again, for small queries. */
  reconnectReads(request: ShardReplacement): void;
  /** Users, the key of sessions, limits and certificates from now on. */
  take(inForce: InForce): void;
  /** Listens; resolves when it does. */
  listen(request: { readonly port: number; readonly isEarly: boolean }): Promise<void>;
  /** Takes no new connections, and answers what is under way; all is cut when nobody waits for it any more. */
  stopListening(request: Record<string, never>, call: CallContext): Promise<void>;
  metrics(request: Record<string, never>): Promise<MetricSnapshot>;
};

/** The main thread answers to these. */
export type FrontHostRole = {
  /** Handles a request by the route with this path. */
  handle(request: HandedRequest, call: CallContext): Promise<Transferred<HandedResponse>>;
  /** Answers a request of the API. */
  query(request: ApiRequest, call: CallContext): Promise<Transferred<HandedApiResponse>>;
  /** The store and the shards, for small queries; asked for once. */
  openQueries(request: Record<string, never>): Transferred<OpenedQueries>;
  /** Queries that it has evaluated, added up. */
  queriesEnded(request: { readonly queries: readonly EndedInFront[] }): void;
  /** Sends the parts of an answer; under way until the last is taken. */
  parts(request: { readonly answer: number; readonly port: MessagePort }, call: CallContext): Promise<void>;
  /** Nobody takes the parts of that answer. */
  drop(request: { readonly answer: number }): void;
  log(line: FrontLogLine): void;
  /** Has the thread that has least to do take a write. */
  push(request: EdgePush): Promise<EdgeAnswer>;
  /** The place in `SharedRates` at which a tenant's rate is counted. */
  ratePlace(request: { readonly tenant: string }): number;
  /** How a tenant is spread over the shards. */
  slots(request: { readonly tenant: string }): LocalSlots | Promise<LocalSlots>;
  slotSize(request: { readonly tenant: string; readonly series: number }): void;
  /** Resolves when the days of late samples are marked. */
  noteLate(request: { readonly tenant: string; readonly fromMs: number }): Promise<void>;
  /** Writes that were answered, added up by tenant. */
  counted(request: { readonly counts: readonly (readonly [tenant: string, counts: TenantCounts])[] }): void;
};

/** Sums of `WriteCounts`. */
export type TenantCounts = {
  -readonly [Name in keyof WriteCounts]: WriteCounts[Name] extends number ? number : Record<string, number>;
};

/** Settings and shared memory of a front thread that takes writes. */
export interface FrontWritesData extends EdgeOfShardsOptions {
  readonly inflightPushes: number;
  /** Places of writes that wait, of all threads; its size is `-distributor.queued-pushes`. */
  readonly waiting: ThreadsRoomMemory;
  /** That of `FrontLoads`. */
  readonly loads: SharedArrayBuffer;
  /** An i32 that goes up whenever a tenant's spread changes; undefined: there is one shard. */
  readonly slotsVersion: SharedArrayBuffer | undefined;
  /** An i32 that goes up whenever a tenant's place in `rates` is given to another one. */
  readonly placesVersion: SharedArrayBuffer;
  /** Whether somebody wants to know of late samples. */
  readonly notesLate: boolean;
}

export interface HandedRequest {
  /** As `Route` has it. */
  readonly path: string;
  readonly request: Omit<HttpRequest, 'signal'>;
}

export interface HandedResponse extends Omit<HttpResponse, 'body'> {
  readonly body?: string | Uint8Array;
  /** Its number, where its body comes in parts. */
  readonly answer?: number;
}

export interface HandedApiResponse extends Omit<ApiResponse, 'parts'> {
  /** As of `HandedResponse`. */
  readonly answer?: number;
}

export interface OpenedQueries {
  readonly data: DirectData;
  readonly shards: readonly ShardConnection[];
}

/** Queries of one text that somebody asked. */
export interface EndedInFront {
  readonly ended: EndedQuery;
  readonly asker: ApiAsker;
  /** Names of the metrics that they ask for. */
  readonly metrics: readonly string[];
}

export interface FrontQueriesData {
  /** Whether it evaluates small ones. */
  readonly areSmallOnes: boolean;
  /** Time from which on a query is logged as one that took long; 0: none is. */
  readonly slowFromMs: number;
}

export interface FrontLogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: Record<string, unknown>;
}

/** A route without what handles it. */
export type RouteFacts = Omit<Route, 'handle'>;

/** Parts of the configuration that may change while a front thread runs. */
export interface InForce {
  readonly users: readonly User[];
  /** Undefined: it is not known. */
  readonly sessionKey: Uint8Array | undefined;
  readonly limits: LimitsMessage;
  /** Undefined: it speaks plain HTTP. */
  readonly tls: TlsOptions | undefined;
}

/** Memory that all front threads count in. */
export interface FrontMemory {
  readonly connections: ThreadsRoomMemory;
  readonly bodies: ThreadsRoomMemory;
  readonly answers: ThreadsRoomMemory;
  /** That of `SharedLogins`. */
  readonly logins: SharedArrayBuffer;
}

export interface FrontData {
  /** Its number among the front threads. */
  readonly thread: number;
  readonly server: ServerConfig;
  readonly auth: AuthConfig;
  readonly federation: TenantFederationConfig;
  readonly host: string;
  /** Whether lines of level debug are written. */
  readonly isDebug: boolean;
  readonly memory: FrontMemory;
  readonly routes: readonly RouteFacts[];
  /** Undefined: it takes no writes. */
  readonly writes: FrontWritesData | undefined;
  /** Undefined: the process answers none. */
  readonly queries: FrontQueriesData | undefined;
  readonly inForce: InForce;
}
