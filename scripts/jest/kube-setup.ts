export { setup as default } from './kube-account';
