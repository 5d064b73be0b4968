import { Authenticator } from '@devpocket/access';
import { AuditModule } from '@devpocket/audit';
import { AuthSettings } from '@devpocket/config';
import { UsersModule } from '@devpocket/users';
import { Global, Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { MailModule } from '@devpocket/mail';
import { MongooseModule } from '@nestjs/mongoose';
import { AccessTokens } from './access-tokens';
import { AccountController } from './account.controller';
import { AccountRemains } from './account-remains';
import { AccountRemover } from './account-remover';
import { AccountService } from './account.service';
import { accessTokenKey, AuthKeys } from './auth-keys';
import { ApiKeyRepository } from './api-key.repository';
import { ApiKeyRecord, ApiKeySchema } from './api-key.schema';
import { ApiKeysController } from './api-keys.controller';
import { ApiKeysService } from './api-keys.service';
import { AuthController } from './auth.controller';
import { BearerStrategy } from './bearer.strategy';
import { DeviceRecord, DeviceSchema } from './device.schema';
import { Devices } from './devices';
import { EmailController } from './email.controller';
import { EmailService } from './email.service';
import { GoogleAccountsService } from './google-accounts.service';
import { GoogleBrowser } from './google-browser';
import { GoogleFlowRecord, GoogleFlowSchema } from './google-flow.schema';
import { GoogleFlows } from './google-flows';
import { GoogleIdTokens } from './google-id-tokens';
import { GoogleIdentityRepository } from './google-identity.repository';
import { GoogleIdentityRecord, GoogleIdentitySchema } from './google-identity.schema';
import { GoogleLinkService } from './google-link.service';
import { GoogleProvider } from './google-provider';
import { GoogleSignInService } from './google-sign-in.service';
import { GoogleStateStore } from './google-state-store';
import { GoogleController } from './google.controller';
import { LetterWriter } from './letter-writer';
import { LockoutRepository } from './lockout.repository';
import { LockoutRecord, LockoutSchema } from './lockout.schema';
import { LockoutService } from './lockout.service';
import { MailTokenRecord, MailTokenSchema } from './mail-token.schema';
import { MailTokens } from './mail-tokens';
import { OwnerCheck } from './owner-check';
import { PasswordHasher } from './password-hasher';
import { PasswordResetService } from './password-reset.service';
import { RefreshTokens } from './refresh-tokens';
import { AdmissionRepository } from './admission.repository';
import { RegistrationGate } from './registration-gate';
import { RegistrationService } from './registration.service';
import { Revocations } from './revocations';
import { CredentialAuthenticator } from './credential-authenticator';
import { SessionRepository } from './session.repository';
import { SessionStarter } from './session-starter';
import { SessionRecord, SessionSchema } from './session.schema';
import { SessionsService } from './sessions.service';
import { SignInService } from './sign-in.service';
import { TokenPairs } from './token-pairs';

/** Global for the `Authenticator`, which edges below ask for without knowing who answers. */
@Global()
@Module({
  imports: [
    UsersModule,
    AuditModule,
    MailModule,
    JwtModule.registerAsync({
      inject: [AuthSettings],
      useFactory: (settings: AuthSettings) => ({
        secret: accessTokenKey(settings),
        signOptions: { algorithm: 'HS256' as const },
        // `exp` is read by `readClaims`, against the clock that is given.
        verifyOptions: { algorithms: ['HS256' as const], ignoreExpiration: true },
      }),
    }),
    MongooseModule.forFeature([
      { name: SessionRecord.name, schema: SessionSchema },
      { name: LockoutRecord.name, schema: LockoutSchema },
      { name: ApiKeyRecord.name, schema: ApiKeySchema },
      { name: MailTokenRecord.name, schema: MailTokenSchema },
      { name: DeviceRecord.name, schema: DeviceSchema },
      { name: GoogleIdentityRecord.name, schema: GoogleIdentitySchema },
      { name: GoogleFlowRecord.name, schema: GoogleFlowSchema },
    ]),
  ],
  controllers: [AuthController, EmailController, GoogleController, ApiKeysController, AccountController],
  providers: [
    AuthKeys,
    AccessTokens,
    RefreshTokens,
    TokenPairs,
    PasswordHasher,
    LockoutRepository,
    LockoutService,
    SessionRepository,
    SessionsService,
    ApiKeyRepository,
    ApiKeysService,
    CredentialAuthenticator,
    { provide: Authenticator, useExisting: CredentialAuthenticator },
    BearerStrategy,
    Revocations,
    AdmissionRepository,
    RegistrationGate,
    RegistrationService,
    SessionStarter,
    SignInService,
    OwnerCheck,
    MailTokens,
    LetterWriter,
    Devices,
    EmailService,
    PasswordResetService,
    AccountService,
    AccountRemains,
    GoogleProvider,
    GoogleIdTokens,
    GoogleIdentityRepository,
    GoogleAccountsService,
    GoogleSignInService,
    GoogleLinkService,
    GoogleFlows,
    GoogleStateStore,
    GoogleBrowser,
  ],
  exports: [Authenticator, RegistrationGate, RegistrationService, SignInService, SessionsService, AccountRemains],
})
export class AuthModule {}

/** For what sees accounts out: the server. */
@Module({ imports: [AuthModule, UsersModule, AuditModule], providers: [AccountRemover] })
export class AccountRemovalModule {}
