import type { PodWorkloads } from '../model/service-id.ts';
import { workloadOfReplicaSet } from '../model/service-id.ts';
import type { Rows } from './rows.ts';

/** Pods of one tenant; of more, names say the workload. */
const PODS_MAX = 200_000;

/** Asks kube-state-metrics which workload each pod belongs to; where it cannot be had, names of pods say it. */
export async function readWorkloads(ask: (expr: string) => Promise<Rows>): Promise<PodWorkloads> {
  let pods: Rows;
  let replicaSets: Rows;
  try {
    pods = await ask(
      'group by (cluster, namespace, pod, owner_kind, owner_name) (kube_pod_owner{owner_kind!~"Node|<none>|"})',
    );
    replicaSets = await ask(
      'group by (cluster, namespace, replicaset, owner_name) (kube_replicaset_owner{owner_kind="Deployment"})',
    );
  } catch {
    return { workloadOf: () => undefined };
  }
  const keyOf = (cluster: string, namespace: string, name: string) => `${cluster}\0${namespace}\0${name}`;
  const deployments = new Map<string, string>();
  for (const { labels } of replicaSets.rows.slice(0, PODS_MAX)) {
    const key = keyOf(labels.get('cluster'), labels.get('namespace'), labels.get('replicaset'));
    deployments.set(key, labels.get('owner_name'));
  }
  const workloads = new Map<string, string>();
  for (const { labels } of pods.rows.slice(0, PODS_MAX)) {
    const [cluster, namespace] = [labels.get('cluster'), labels.get('namespace')];
    const owner = labels.get('owner_name');
    const isReplicaSet = labels.get('owner_kind') === 'ReplicaSet';
    const workload = isReplicaSet
      ? (deployments.get(keyOf(cluster, namespace, owner)) ?? workloadOfReplicaSet(owner))
      : owner;
    workloads.set(keyOf(cluster, namespace, labels.get('pod')), workload);
  }
  return { workloadOf: (cluster, namespace, pod) => workloads.get(keyOf(cluster, namespace, pod)) };
}
