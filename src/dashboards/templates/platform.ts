import { lines, rate, stack, stat, type Template } from '../template.ts';

/** Machines, containers and Kubernetes. */
export const platformTemplates: readonly Template[] = [
  {
    id: 'node',
    title: 'Machine',
    scope: 'own',
    signs: ['node_cpu_seconds_total', 'node_memory_MemTotal_bytes'],
    panels: [
      stack('CPU by mode', 'percent-decimal', [
        'sum by (mode) (rate(node_cpu_seconds_total{$own,mode!="idle"}[$range])) / scalar(count(node_cpu_seconds_total{$own,mode="idle"}))',
        '{{mode}}',
      ]),
      lines('Load', 'decimal', ['node_load1{$own}', '1 m'], ['node_load5{$own}', '5 m'], ['node_load15{$own}', '15 m']),
      lines('Memory used', 'percent-decimal', [
        '1 - node_memory_MemAvailable_bytes{$own} / node_memory_MemTotal_bytes{$own}',
        'used',
      ]),
      lines(
        'Memory',
        'bytes',
        ['node_memory_MemTotal_bytes{$own}', 'total'],
        ['node_memory_MemAvailable_bytes{$own}', 'available'],
      ),
      lines('Major page faults', 'ops/sec', ['rate(node_vmstat_pgmajfault{$own}[$range])', 'faults']),
      lines('Disk busy', 'percent-decimal', ['rate(node_disk_io_time_seconds_total{$own}[$range])', '{{device}}']),
      lines(
        'Disk throughput',
        'bytes/sec',
        ['rate(node_disk_read_bytes_total{$own}[$range])', '{{device}} read'],
        ['rate(node_disk_written_bytes_total{$own}[$range])', '{{device}} written'],
      ),
      lines('File systems', 'percent-decimal', [
        '1 - node_filesystem_avail_bytes{$own,fstype!~"tmpfs|ramfs|overlay|squashfs"} / node_filesystem_size_bytes{$own,fstype!~"tmpfs|ramfs|overlay|squashfs"}',
        '{{mountpoint}}',
      ]),
      lines(
        'Network',
        'bytes/sec',
        ['rate(node_network_receive_bytes_total{$own,device!="lo"}[$range])', '{{device}} in'],
        ['rate(node_network_transmit_bytes_total{$own,device!="lo"}[$range])', '{{device}} out'],
      ),
      lines(
        'Network drops and errors',
        'packets/sec',
        ['rate(node_network_receive_drop_total{$own,device!="lo"}[$range])', '{{device}} dropped in'],
        ['rate(node_network_transmit_drop_total{$own,device!="lo"}[$range])', '{{device}} dropped out'],
        ['rate(node_network_receive_errs_total{$own,device!="lo"}[$range])', '{{device}} errors in'],
        ['rate(node_network_transmit_errs_total{$own,device!="lo"}[$range])', '{{device}} errors out'],
      ),
      lines(
        'Pressure',
        'percent-decimal',
        ['rate(node_pressure_cpu_waiting_seconds_total{$own}[$range])', 'CPU'],
        ['rate(node_pressure_memory_waiting_seconds_total{$own}[$range])', 'memory'],
        ['rate(node_pressure_io_waiting_seconds_total{$own}[$range])', 'I/O'],
      ),
      stat('Up for', 'seconds', 'time() - node_boot_time_seconds{$own}'),
    ],
  },
  {
    id: 'container',
    title: 'Containers',
    scope: 'pods',
    signs: ['container_cpu_usage_seconds_total', 'container_memory_working_set_bytes'],
    panels: [
      lines('CPU', 'decimal', [rate('container_cpu_usage_seconds_total', 'pod', 'container!="",image!=""'), '{{pod}}']),
      lines('CPU of limit', 'percent-decimal', [
        `${rate('container_cpu_usage_seconds_total', 'pod', 'container!="",image!=""')} / sum by (pod) (kube_pod_container_resource_limits{$own,resource="cpu"})`,
        '{{pod}}',
      ]),
      lines('CPU throttled', 'percent-decimal', [
        `${rate('container_cpu_cfs_throttled_periods_total', 'pod')} / ${rate('container_cpu_cfs_periods_total', 'pod')}`,
        '{{pod}}',
      ]),
      lines('Memory', 'bytes', [
        'sum by (pod) (container_memory_working_set_bytes{$own,container!="",image!=""})',
        '{{pod}}',
      ]),
      lines('Memory of limit', 'percent-decimal', [
        'sum by (pod) (container_memory_working_set_bytes{$own,container!="",image!=""}) / sum by (pod) (kube_pod_container_resource_limits{$own,resource="memory"})',
        '{{pod}}',
      ]),
      lines(
        'Network',
        'bytes/sec',
        [rate('container_network_receive_bytes_total', 'pod'), '{{pod}} in'],
        [rate('container_network_transmit_bytes_total', 'pod'), '{{pod}} out'],
      ),
      lines(
        'File system',
        'bytes/sec',
        [rate('container_fs_reads_bytes_total', 'pod'), '{{pod}} read'],
        [rate('container_fs_writes_bytes_total', 'pod'), '{{pod}} written'],
      ),
    ],
  },
  {
    id: 'kubernetes-pods',
    title: 'Pods',
    scope: 'pods',
    signs: ['kube_pod_status_phase', 'kube_pod_container_status_restarts_total'],
    panels: [
      stack('Pods by phase', 'decimal', ['sum by (phase) (kube_pod_status_phase{$own})', '{{phase}}']),
      lines('Restarts', 'decimal', [
        'sum by (pod) (increase(kube_pod_container_status_restarts_total{$own}[$range]))',
        '{{pod}}',
      ]),
      lines('Ready', 'decimal', ['sum(kube_pod_status_ready{$own,condition="true"})', 'ready']),
    ],
  },
  {
    id: 'kubernetes-deployment',
    title: 'Deployment',
    scope: 'workload',
    signs: ['kube_deployment_spec_replicas'],
    panels: [
      lines(
        'Replicas',
        'decimal',
        ['max(kube_deployment_spec_replicas{$own})', 'wanted'],
        ['max(kube_deployment_status_replicas_available{$own})', 'available'],
        ['max(kube_deployment_status_replicas_updated{$own})', 'updated'],
      ),
    ],
  },
];
