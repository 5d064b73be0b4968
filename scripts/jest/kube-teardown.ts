export { teardown as default } from './kube-account';
