import { type FieldError, REGIONS, type Region } from '@devpocket/kernel';
import { type ClusterOptions, type ClusterToleration } from '@devpocket/runtime';
import { type Cluster, type ClusterChange, type RegionView } from './cluster';

/** Anything that can be read on one line. */
export const CLUSTER_NAME = /^(?!\s)[^\p{C}]{1,100}(?<!\s)$/u;
export const CLUSTER_NAME_MESSAGE = 'must be 1–100 printable characters without spaces around them';

/** Names of objects: a DNS subdomain (RFC 1123), as Kubernetes asks for. */
const OBJECT_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
/** Kubernetes, "Labels and Selectors": an optional prefix that is a DNS subdomain, and a name of at most 63. */
const LABEL_NAME = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const MOST = 20;
export const MOST_ENVIRONMENTS = 100_000;

/** What is wrong with an address of an API server, or null. */
export function endpointFault(text: string, allowInsecure: boolean): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'must be a URL such as https://10.0.0.1:6443';
  }
  if (url.username !== '' || url.password !== '') return 'must not contain credentials';
  if (url.search !== '' || url.hash !== '') return 'must not have a query or a fragment';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && allowInsecure)) return null;
  return 'must begin with https:// (ALLOW_INSECURE_CLUSTERS allows http://)';
}

function isLabelKey(key: string): boolean {
  const [name = '', prefix, ...rest] = key.split('/').reverse();
  return rest.length === 0 && LABEL_NAME.test(name) && (prefix === undefined || OBJECT_NAME.test(prefix));
}

/** Kubernetes, "Taints and Tolerations". */
function tolerationFault({ key, operator = 'Equal', value }: ClusterToleration): string | null {
  if (key !== undefined && !isLabelKey(key)) return 'has a key that is not the name of a label';
  if (key === undefined && operator !== 'Exists') return 'needs a key, or the operator Exists';
  if (operator === 'Exists' && value !== undefined && value !== '') return 'has a value, which Exists does not look at';
  return value === undefined || LABEL_VALUE.test(value) ? null : 'has a value that is not the value of a label';
}

export function optionFaults(options: Partial<ClusterOptions>): readonly FieldError[] {
  const faults: FieldError[] = [];
  const refuse = (field: string, code: string, message: string): number => faults.push({ field, code, message });
  const percent = (field: string, value: number | undefined): void => {
    if (value !== undefined && (!Number.isInteger(value) || value < 1 || value > 100))
      refuse(field, 'invalid_percent', 'must be a whole number from 1 to 100');
  };
  const objectName = (field: string, value: string | null | undefined): void => {
    if (typeof value === 'string' && !OBJECT_NAME.test(value))
      refuse(field, 'invalid_object_name', 'must be the name of a Kubernetes object: lower-case letters, digits, - and .');
  };
  const count = (field: string, length: number): void => {
    if (length > MOST) refuse(field, 'too_many', `must be at most ${MOST}; given: ${length}`);
  };
  percent('cpu_request_percent', options.cpuRequestPercent);
  percent('memory_request_percent', options.memoryRequestPercent);
  objectName('storage_class', options.storageClass);
  objectName('runtime_class_name', options.runtimeClassName);
  const selector = Object.entries(options.nodeSelector ?? {});
  count('node_selector', selector.length);
  for (const [key, value] of selector)
    if (!isLabelKey(key) || typeof value !== 'string' || !LABEL_VALUE.test(value))
      refuse(`node_selector.${key.slice(0, 100)}`, 'invalid_label', 'must be a label: a valid name and a value of at most 63');
  count('tolerations', options.tolerations?.length ?? 0);
  options.tolerations?.forEach((toleration, index) => {
    const fault = tolerationFault(toleration);
    if (fault !== null) refuse(`tolerations.${index}`, 'invalid_toleration', fault);
  });
  count('image_pull_secrets', options.imagePullSecrets?.length ?? 0);
  options.imagePullSecrets?.forEach((name, index) => objectName(`image_pull_secrets.${index}`, name));
  return faults;
}

export function changeFaults(
  { name, endpoint, maxEnvironments, options = {} }: ClusterChange,
  allowInsecure: boolean,
): FieldError[] {
  const faults = [...optionFaults(options)];
  if (name !== undefined && !CLUSTER_NAME.test(name))
    faults.push({ field: 'name', code: 'invalid_name', message: CLUSTER_NAME_MESSAGE });
  if (maxEnvironments !== undefined && !(maxEnvironments >= 1 && maxEnvironments <= MOST_ENVIRONMENTS))
    faults.push({ field: 'max_environments', code: 'max', message: `must be from 1 to ${MOST_ENVIRONMENTS}` });
  const fault = typeof endpoint === 'string' ? endpointFault(endpoint, allowInsecure) : null;
  if (fault !== null) faults.push({ field: 'endpoint', code: 'invalid_endpoint', message: fault });
  return faults;
}

const DISPLAY_NAMES: Readonly<Record<Region, string>> = {
  'us-east': 'US East',
  'us-west': 'US West',
  'eu-central': 'EU Central',
  'asia-pacific': 'Asia Pacific',
};

/** The regions that take new environments. */
export function regionsOf(all: readonly Cluster[], isDefault: (cluster: Cluster) => boolean): readonly RegionView[] {
  const active = all.filter(({ status }) => status === 'active');
  return REGIONS.map((region) => ({ region, clusters: active.filter((cluster) => cluster.region === region) }))
    .filter(({ clusters }) => clusters.length > 0)
    .map(({ region, clusters }) => ({
      region,
      displayName: DISPLAY_NAMES[region],
      clusterCount: clusters.length,
      hasDefault: clusters.some(isDefault),
    }));
}
