import { rightsOf } from './api-rights';

it.each<[string, string, number, string | null, readonly string[]]>([
  ['GET', '/version', 200, null, []],
  ['GET', '/apis/apps/v1', 200, null, []],
  ['GET', '/api/v1/pods?labelSelector=a', 200, null, ['pods list']],
  ['GET', '/api/v1/pods?watch=true', 200, null, ['pods watch']],
  ['GET', '/api/v1/namespaces/n/pods/p', 200, 'n', ['pods get']],
  ['GET', '/api/v1/namespaces/n/pods/p/log?follow=true', 200, 'n', ['pods/log get']],
  ['GET', '/api/v1/namespaces/n/pods/p/exec?command=sh', 101, 'n', ['pods/exec get']],
  ['GET', '/api/v1/nodes/x/proxy/stats/summary', 200, null, ['nodes/proxy get']],
  ['DELETE', '/api/v1/namespaces/n', 200, null, ['namespaces delete']],
  ['DELETE', '/api/v1/namespaces/n/secrets?labelSelector=a', 200, 'n', ['secrets deletecollection']],
  ['PATCH', '/api/v1/namespaces/n?force=true', 201, null, ['namespaces patch', 'namespaces create']],
  ['PATCH', '/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/p', 200, 'n', ['networking.k8s.io/networkpolicies patch']],
  ['POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', 201, null, []],
])('%s %s, answered by %i', (method, url, status, namespace, rights) => {
  expect(rightsOf({ method, url }, status)).toEqual({ namespace, rights });
});
