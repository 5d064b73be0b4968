export { type Admission } from './admission.repository';
export * from './auth.errors';
export * from './auth.module';
export * from './registration-gate';
export { RegistrationService, type Registration } from './registration.service';
export type { Session } from './session.machine';
export { SessionsService } from './sessions.service';
export { SignInService } from './sign-in.service';
export type { TokenPair } from './token-pairs';
