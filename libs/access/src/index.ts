export { AccessGuard, type AuthenticatedRequest } from './access.guard';
export * from './access.module';
export { checkAccess, checkScope } from './access.policy';
export * from './authenticator';
export * from './current-principal';
export * from './principal';
export * from './route-access';
export * from './strategy-name';
