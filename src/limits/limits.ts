import {
  bytes,
  choice,
  count,
  duration,
  list,
  mapping,
  planned,
  ratio,
  structure,
  text,
  toggle,
} from '../kit/config/field.ts';
import { defaultsOf, section } from '../kit/config/section.ts';
import { GeneratorUrlTemplate } from '../template/generator-url.ts';
import { QueryPriority, QueryRejection } from './query-rules.ts';
import { Relabelling } from './relabel.ts';

/**
 * Limits of what a tenant may do. Names are Cortex'; each may be set for everybody (here) and for one tenant (in the file of
 * overrides). 0 is no limit. By default what is about rates and numbers of series is off, what keeps one request or one
 * query from hurting others is on. A `planned` limit is read by a later version, and refused until then.
 */
export const limitsConfig = section('limits', 'Limits of each tenant', {
  // what comes in
  ingestionRate: ratio({
    default: 0,
    min: 0,
    flag: 'distributor.ingestion-rate-limit',
    help: 'Samples a second; more are refused with 429. 0: no limit.',
  }),
  ingestionRateStrategy: choice({
    default: 'local',
    values: ['local', 'global'],
    flag: 'distributor.ingestion-rate-limit-strategy',
    help: 'Whether each distributor grants the whole rate, or all of them share it. The same as long as one process is all there is.',
  }),
  ingestionBurstSize: count({
    default: 50_000,
    flag: 'distributor.ingestion-burst-size',
    help: 'Samples that may come at once above the rate.',
  }),
  acceptHaSamples: planned(
    toggle({
      default: false,
      flag: 'distributor.ha-tracker.enable-for-all-users',
      help: 'Take samples of one replica of each pair of Prometheus servers only.',
    }),
  ),
  haClusterLabel: planned(
    text({
      default: 'cluster',
      flag: 'distributor.ha-tracker.cluster',
      help: 'Label that names the pair.',
    }),
  ),
  haReplicaLabel: planned(
    text({
      default: '__replica__',
      flag: 'distributor.ha-tracker.replica',
      help: 'Label that names the replica; it is dropped.',
    }),
  ),
  haMaxClusters: planned(
    count({
      default: 0,
      flag: 'distributor.ha-tracker.max-clusters',
      help: 'Pairs of a tenant. 0: no limit.',
    }),
  ),
  haTrackerFailoverTimeoutMs: planned(
    duration({
      default: '30s',
      flag: 'distributor.ha-tracker.failover-timeout',
      help: 'Silence of a replica after which the other one is taken.',
    }),
  ),
  dropLabels: list({ flag: 'distributor.drop-label', help: 'Labels that are dropped from all series.' }),
  metricRelabelConfigs: structure({
    default: Relabelling.none,
    help: 'Steps of relabelling for all series that come in, as Prometheus has them.',
    parse: Relabelling.parse,
    print: (steps) => steps.file,
  }),
  maxLabelNameLength: count({
    default: 1024,
    flag: 'validation.max-length-label-name',
    help: 'Bytes of a label name.',
  }),
  maxLabelValueLength: count({
    default: 2048,
    flag: 'validation.max-length-label-value',
    help: 'Bytes of a label value.',
  }),
  maxLabelNamesPerSeries: count({
    default: 30,
    flag: 'validation.max-label-names-per-series',
    help: 'Labels of a series, its name included.',
  }),
  maxLabelsSizeBytes: count({
    default: 0,
    flag: 'validation.max-labels-size-bytes',
    help: 'Bytes of all label names and values of a series together. 0: no limit.',
  }),
  maxMetadataLength: count({
    default: 1024,
    flag: 'validation.max-metadata-length',
    help: 'Bytes of the name, help and unit of a metric.',
  }),
  rejectOldSamples: toggle({
    default: false,
    flag: 'validation.reject-old-samples',
    help: 'Refuse samples older than reject_old_samples_max_age.',
  }),
  rejectOldSamplesMaxAgeMs: duration({
    default: '2w',
    flag: 'validation.reject-old-samples.max-age',
    help: 'Age up to which samples are taken.',
  }),
  minSampleTimeS: count({
    key: 'min_sample_time',
    default: 2_678_400,
    flag: 'validation.min-sample-time',
    help: 'Unix seconds; earlier samples are refused: they have no time, or seconds in place of milliseconds. 0: any time is taken.',
  }),
  creationGracePeriodMs: duration({
    default: '10m',
    flag: 'validation.create-grace-period',
    help: 'How far ahead of our clock a sample may be.',
  }),
  outOfOrderTimeWindowMs: duration({
    default: '0',
    flag: 'ingester.out-of-order-time-window',
    help: 'How much older than the newest sample of its series a sample may be and still be taken. 0: later ones only.',
  }),
  maxExemplars: count({
    default: 10_000,
    flag: 'ingester.max-exemplars',
    help: 'Exemplars kept: a new one takes the place of the oldest. 0: none.',
  }),
  ingestionTenantShardSize: planned(
    count({
      default: 0,
      flag: 'distributor.ingestion-tenant-shard-size',
      help: 'Ingesters that a tenant is spread over. 0: all.',
    }),
  ),
  promoteResourceAttributes: planned(
    list({
      flag: 'distributor.promote-resource-attributes',
      help: 'OTLP resource attributes that become labels.',
    }),
  ),

  // what is kept
  maxSeriesPerUser: count({
    default: 0,
    flag: 'ingester.max-series-per-user',
    help: 'Series in an ingester, all its shards together. 0: no limit.',
  }),
  maxSeriesPerMetric: count({
    default: 0,
    flag: 'ingester.max-series-per-metric',
    help: 'Series of a metric in an ingester. 0: no limit.',
  }),
  maxGlobalSeriesPerUser: count({
    default: 0,
    flag: 'ingester.max-global-series-per-user',
    help: 'Series in the whole cluster. 0: no limit.',
  }),
  maxGlobalSeriesPerMetric: count({
    default: 0,
    flag: 'ingester.max-global-series-per-metric',
    help: 'Series of a metric in the whole cluster. 0: no limit.',
  }),
  maxOldWindowsPerUser: count({
    default: 512,
    flag: 'ingester.max-old-windows-per-user',
    help: 'Windows (-ingester.window) far from now that samples may begin before they are in the store, and weeks that they may lie in. 0: as many as there are.',
  }),
  maxMetadataPerUser: count({
    default: 8000,
    flag: 'ingester.max-metadata-per-user',
    help: 'Metrics with metadata. 0: no limit.',
  }),
  maxMetadataPerMetric: count({
    default: 10,
    flag: 'ingester.max-metadata-per-metric',
    help: 'Different metadata of one metric; what no sender has told for ten minutes makes room. 0: no limit.',
  }),
  retentionPeriodMs: duration({
    default: '0',
    flag: 'limits.retention-period',
    help: 'Age up to which samples are kept, and taken. 0: for ever.',
  }),

  // what is asked
  maxFetchedSeriesPerQuery: count({
    default: 0,
    flag: 'querier.max-fetched-series-per-query',
    help: 'Series a query reads. 0: no limit.',
  }),
  maxFetchedChunksPerQuery: count({
    default: 2_000_000,
    flag: 'querier.max-fetched-chunks-per-query',
    help: 'Chunks a query reads. 0: no limit.',
  }),
  maxFetchedChunkBytesPerQuery: bytes({
    default: '0',
    flag: 'querier.max-fetched-chunk-bytes-per-query',
    help: 'Bytes of chunks a query reads. 0: no limit.',
  }),
  maxFetchedDataBytesPerQuery: bytes({
    default: '0',
    flag: 'querier.max-fetched-data-bytes-per-query',
    help: 'Bytes of chunks and labels a query reads. 0: no limit.',
  }),
  maxQueryMemoryBytes: bytes({
    default: '1GiB',
    flag: 'querier.max-query-memory-bytes',
    help: 'Memory a query holds at a time. 0: no limit.',
  }),
  maxQueryLookbackMs: duration({
    default: '0',
    flag: 'querier.max-query-lookback',
    help: 'How far back queries of all kinds see, windows and look-ups of labels, too: earlier data are left out, and what asks for nothing else has an empty answer. 0: no limit.',
  }),
  maxQueryLengthMs: duration({
    default: '0',
    flag: 'store.max-query-length',
    help: 'Longest time between start and end of a query, of what may be seen, and longest window. Look-ups of labels have no limit. 0: no limit.',
  }),
  maxQueryParallelism: count({
    default: 14,
    min: 1,
    flag: 'querier.max-query-parallelism',
    help: 'Parts of a query that run at once. In one process, where they share a thread, at most two do.',
  }),
  maxQueryResponseSize: bytes({
    default: '256MiB',
    flag: 'frontend.max-query-response-size',
    help: 'Bytes of an answer before it is compressed. A query over several days that would have more is refused before anything is fetched. 0: no limit.',
  }),
  queryPartialData: toggle({
    default: false,
    flag: 'querier.query-partial-data',
    help: 'Answer queries without what ingesters or stores have that are away, with warnings and the field `missing`, where a request does not say (partial_response). Such answers are never cached.',
  }),
  rulesPartialData: toggle({
    default: false,
    flag: 'ruler.rules-partial-data',
    help: 'Evaluate rules without what ingesters or stores have that are away.',
  }),
  maxCacheFreshnessMs: duration({
    default: '1m',
    flag: 'frontend.max-cache-freshness',
    help: 'Answers of a time younger than this are not cached; nor are those younger than out_of_order_time_window and the time after which windows are flushed.',
  }),
  resultsCacheTtlMs: duration({
    default: '0',
    flag: 'frontend.results-cache-ttl',
    help: 'How long cached answers live. 0: seven days.',
  }),
  maxQueriersPerTenant: ratio({
    default: 0,
    min: 0,
    flag: 'frontend.max-queriers-per-tenant',
    help: 'Queriers that serve a tenant, the same ones each time; below 1: a part of all. 0: all.',
  }),
  queryRejection: structure({
    default: QueryRejection.none,
    help: "Queries that are refused with 422, by kind, expression, times, step, or who asks: Cortex' query_rejection.",
    parse: QueryRejection.parse,
    print: (rules) => rules.file,
  }),
  queryPriority: structure({
    default: QueryPriority.none,
    help: "Queries that come before others of the tenant where some wait: Cortex' query_priority. reserved_queriers of several processes: that many of the tenant's queriers, or below 1 a part of them, serve only that priority and higher ones.",
    parse: QueryPriority.parse,
    print: (rules) => rules.file,
  }),
  maxOutstandingRequestsPerTenant: count({
    default: 100,
    min: 1,
    flag: 'frontend.max-outstanding-requests-per-tenant',
    help: 'Queries that wait; more are refused with 429.',
  }),
  queryIngestersWithinMs: duration({
    default: '0',
    flag: 'querier.query-ingesters-within',
    help: 'Ingesters are asked only for data younger than this. 0: always. Less than a window and its flush take hides what is not in the store yet. Answers are cached only with 0.',
  }),

  // rules
  rulerMaxRulesPerRuleGroup: count({
    default: 0,
    flag: 'ruler.max-rules-per-rule-group',
    help: 'Rules of a group that is configured. 0: no limit.',
  }),
  rulerMaxRuleGroupsPerTenant: count({
    default: 0,
    flag: 'ruler.max-rule-groups-per-tenant',
    help: 'Groups of rules that are configured. 0: no limit.',
  }),
  rulerMinRuleEvaluationIntervalMs: duration({
    default: '1s',
    min: '1s',
    flag: 'ruler.min-rule-evaluation-interval',
    help: 'Least interval of a group; groups with a shorter one are refused, in local files evaluated less often.',
  }),
  rulerQueryOffsetMs: duration({
    default: '0',
    flag: 'ruler.query-offset',
    help: 'How far behind the clock rules are evaluated, where a group says nothing.',
  }),
  rulerExternalLabels: mapping({
    help: 'Labels of alerts that are sent, where they have none of that name; templates know them.',
  }),
  rulerAlertGeneratorUrlTemplate: text({
    flag: null,
    check: checkGeneratorUrlTemplate,
    help: "Go template for the address that each of the tenant's alerts links to, with `.ExternalURL` and `.Expression`, such as `https://grafana.example.com/explore?expr={{ urlquery .Expression }}`. Empty: the graph page below the external URL.",
  }),
  rulerExternalUrl: text({
    flag: null,
    help: "Address for links in the tenant's alerts. Empty: -ruler.external.url.",
  }),
  rulerAlertmanagerUrl: list({
    flag: null,
    help: "Alertmanagers that the tenant's alerts are sent to, in place of those of -ruler.alertmanager-url.",
  }),
  rulerAlertRelabelConfigs: structure({
    default: Relabelling.none,
    help: 'Steps of relabelling for alerts before they are sent, as Prometheus has them (alert_relabel_configs).',
    parse: Relabelling.parse,
    print: (steps) => steps.file,
  }),

  // notifications
  alertmanagerMaxConfigSizeBytes: bytes({
    default: '128KiB',
    flag: 'alertmanager.max-config-size-bytes',
    help: 'Bytes of a configuration with its templates, which are read in one go, some 0.7 µs a byte. 0: no limit.',
  }),
  alertmanagerMaxTemplatesCount: count({
    default: 100,
    flag: 'alertmanager.max-templates-count',
    help: 'Template files of a configuration. 0: no limit.',
  }),
  alertmanagerMaxTemplateSizeBytes: bytes({
    default: '64KiB',
    flag: 'alertmanager.max-template-size-bytes',
    help: 'Bytes of a template file. 0: no limit.',
  }),
  alertmanagerMaxDispatcherAggregationGroups: count({
    default: 10_000,
    flag: 'alertmanager.max-dispatcher-aggregation-groups',
    help: 'Groups of alerts; an alert that would need one more is not told. 0: no limit.',
  }),
  alertmanagerMaxAlertsCount: count({
    default: 50_000,
    flag: 'alertmanager.max-alerts-count',
    help: 'Alerts that are known, resolved ones of the last half hour included. 0: no limit.',
  }),
  alertmanagerMaxAlertsSizeBytes: bytes({
    default: '64MiB',
    flag: 'alertmanager.max-alerts-size-bytes',
    help: 'Bytes of all alerts. 0: no limit.',
  }),
  alertmanagerMaxAlertLabels: count({
    default: 256,
    flag: 'alertmanager.max-alert-labels',
    help: 'Labels and annotations of an alert. 0: no limit.',
  }),
  alertmanagerMaxAlertSizeBytes: bytes({
    default: '32KiB',
    flag: 'alertmanager.max-alert-size-bytes',
    help: 'Bytes of an alert; the store takes none above 64 KiB.',
    min: '1KiB',
  }),
  alertmanagerMaxSilencesCount: count({
    default: 1000,
    flag: 'alertmanager.max-silences-count',
    help: 'Silences, expired ones of the last five days included. 0: no limit.',
  }),
  alertmanagerMaxSilencesSizeBytes: bytes({
    default: '16KiB',
    flag: 'alertmanager.max-silences-size-bytes',
    help: 'Bytes of a silence. 0: as many as the store takes, 128 KiB.',
  }),
  alertmanagerNotificationRateLimit: ratio({
    default: 0,
    min: 0,
    flag: 'alertmanager.notification-rate-limit',
    help: 'Notifications a second of each kind of receiver; more fail until the next flush. 0: no limit.',
  }),
  alertmanagerNotificationRateLimitPerIntegration: mapping({
    help: 'The same for single kinds, by their names: `email: 0.1`.',
  }),
  alertmanagerReceiversFirewallBlockPrivateAddresses: toggle({
    default: true,
    flag: 'alertmanager.receivers-firewall.block.private-addresses',
    help: 'Send no notifications to addresses of this machine and of private networks.',
  }),
  alertmanagerReceiversFirewallBlockCidrNetworks: list({
    flag: 'alertmanager.receivers-firewall.block.cidr-networks',
    help: 'Networks that no notifications are sent to, like 203.0.113.0/24.',
    check: checkNetwork,
  }),

  // services
  serviceNameLabels: list({
    flag: 'services.name-labels',
    help: 'Labels that name the service of a series, the first that it has; those that are known by themselves come after them.',
    check: checkLabelName,
  }),
});

function checkLabelName(name: string): void {
  if (name.length > 1024) throw new RangeError(`a label name of ${name.length} characters`);
}

function checkNetwork(network: string): void {
  if (!/^[\da-fA-F.:]+\/\d{1,3}$/.test(network)) throw new RangeError(`${network} is no network, like 10.0.0.0/8`);
}

/** All limits of one tenant, overrides and defaults joined. */
export type TenantLimits = typeof limitsConfig.type;

export const DEFAULT_LIMITS: TenantLimits = defaultsOf(limitsConfig);

/** @throws TemplateError */
function checkGeneratorUrlTemplate(template: string): void {
  if (template !== '') GeneratorUrlTemplate.parse(template);
}
