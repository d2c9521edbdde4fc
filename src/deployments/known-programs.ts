/**
 * Programs that are no service of the people who look: exporters, agents and libraries beside one or within it. Their versions
 * change without a deployment of the service.
 */

/** Metrics that libraries and runtimes write into every process that uses them. */
const LIBRARY_BUILD_INFOS: ReadonlySet<string> = new Set([
  'go_build_info',
  'jvm_build_info',
  'python_build_info',
  'nodejs_build_info',
  'dotnet_build_info',
  'process_build_info',
  'rest_client_build_info',
  'kubernetes_build_info',
  'hikaricp_build_info',
  'logback_build_info',
  'jetty_build_info',
  'tomcat_build_info',
  'spring_boot_build_info',
  'client_java_build_info',
  'prometheus_client_build_info',
  'prometheus_sdk_build_info',
  'otel_build_info',
  'otel_sdk_build_info',
  'telemetry_sdk_build_info',
  'grpc_build_info',
  'openssl_build_info',
  'kafka_client_build_info',
  'dapr_build_info',
]);

/** Programs that run beside others. Where a service has the same name, they are the service. */
const SIDECARS: readonly string[] = [
  'agent',
  'alloy',
  'beyla',
  'cloudsql_proxy',
  'consul',
  'consul_dataplane',
  'datadog_agent',
  'envoy',
  'filebeat',
  'fluent_bit',
  'fluentbit',
  'fluentd',
  'grafana_agent',
  'haproxy_ingress',
  'istio',
  'istio_agent',
  'istio_proxy',
  'jaeger_agent',
  'kube_rbac_proxy',
  'linkerd_proxy',
  'nginx_sidecar',
  'oauth2_proxy',
  'opa',
  'otelcol',
  'otelcol_contrib',
  'pilot_agent',
  'promtail',
  'pushgateway',
  'statsd',
  'telegraf',
  'thanos',
  'thanos_sidecar',
  'vault_agent',
  'vector',
  'vmagent',
];

/** Words that name a container's or an image's helper by convention. */
const HELPER =
  /(^|[-_/])(exporter|sidecar|istio-proxy|envoy|linkerd-proxy|proxyv2|vault-agent|cloud-?sql-proxy|fluent-?bit|fluentd|filebeat|promtail|vector|telegraf|otel-?col(lector)?|opentelemetry-collector(-contrib)?|otc-container|config-reloader|configmap-reload|reloader|kube-rbac-proxy|oauth2?-proxy|auth-proxy|jaeger-agent|datadog-agent|dd-agent|consul-dataplane|consul-sidecar|daprd|grafana-agent|alloy|vmagent|statsd|git-sync|queue-proxy|aws-xray|xray-daemon|cloudwatch-agent|wait-for[-\w]*|pause)$/;
const EXPORTER = /exporter/;

/** The program that a `*_build_info` tells the version of. */
export function programOf(metric: string): string {
  return metric.replace(/_?build_info$/, '');
}

/** A metric that says nothing about the service's own version. */
export function isForeignBuildInfo(metric: string, service: string): boolean {
  if (LIBRARY_BUILD_INFOS.has(metric)) return true;
  const program = programOf(metric);
  if (EXPORTER.test(program)) return true;
  return SIDECARS.includes(program) && !isNamedAs(service, program);
}

/** A container that is there for another one. */
export function isSidecar(container: string, image: string, service: string): boolean {
  if (isNamedAs(service, container)) return false;
  return HELPER.test(container) || EXPORTER.test(container) || HELPER.test(image) || EXPORTER.test(image);
}

/** The service is called as the program, or as one of its parts (`thanos-query`). */
export function isNamedAs(service: string, program: string): boolean {
  const [long, short] = [service, program].map((name) => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'));
  return short !== '' && `-${long}-`.includes(`-${short}-`);
}
