import { AccessModule } from '@devpocket/access';
import { type Settings, SettingsModule } from '@devpocket/config';
import { HttpModule, requestContext, validationPipe } from '@devpocket/http';
import { Clock, SystemClock } from '@devpocket/kernel';
import { MailSenderModule } from '@devpocket/mail';
import { SharedStateModule } from '@devpocket/shared-state';
import { UsersModule } from '@devpocket/users';
import { type DynamicModule, Global, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken, MongooseModule } from '@nestjs/mongoose';
import { testSettings } from '@testing/config';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { type Connection } from 'mongoose';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccountRemovalModule, AuthModule } from '../src';

export * from './google-issuer';

export interface AuthAppOptions {
  readonly clock?: Clock;
  /** Variables that differ from those of `testSettings`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another replica's app: database and settings are shared with it. */
  readonly beside?: AuthApp;
}

export interface CallOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON body; an empty object when there is none, or another. */
  readonly body: T;
}

export interface SignedUp {
  readonly id: string;
  readonly username: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** Fulfils the password rules. */
export const PASSWORD = 'Correct-Horse-7';

type Json = Readonly<Record<string, unknown>>;

/** Accounts over real HTTP. */
export class AuthApp {
  private constructor(
    readonly app: INestApplication,
    readonly database: TestDatabase,
    readonly settings: Settings,
    private readonly ownsDatabase: boolean,
    private readonly url: string,
  ) {}

  static async start({ clock = new SystemClock(), env = {}, beside }: AuthAppOptions = {}): Promise<AuthApp> {
    const database = beside?.database ?? (await openTestDatabase());
    const settings = beside?.settings ?? testSettings({ ...env, DATA_DIR: mkdtempSync(join(tmpdir(), 'devpocket-auth-')) });
    const module: DynamicModule = {
      module: AuthTestModule,
      imports: [
        SettingsModule.forRoot(settings),
        clockModule(clock),
        SharedStateModule,
        MongooseModule.forRoot(database.url, { dbName: database.name, autoIndex: false, autoCreate: false }),
        AccessModule,
        HttpModule,
        UsersModule,
        AuthModule,
        MailSenderModule,
        AccountRemovalModule,
      ],
    };
    const app = await NestFactory.create(module, { logger: false });
    app.use(requestContext);
    app.setGlobalPrefix('api/v1');
    app.useGlobalPipes(validationPipe());
    const connection = app.get<Connection>(getConnectionToken());
    for (const model of Object.values(connection.models)) await model.createIndexes();
    await app.listen(0, '127.0.0.1');
    return new AuthApp(app, database, settings, !beside, await app.getUrl());
  }

  async call<T = Json>(method: string, path: string, { token, body, headers = {} }: CallOptions = {}): Promise<Answer<T>> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (isJson(response) ? JSON.parse(text) : {}) as T };
  }

  /** With a Google ID token. */
  google(token: string, more: object = {}): Promise<Answer<Json>> {
    return this.call('POST', '/auth/google', { body: { token, ...more } });
  }

  register(username: string, password = PASSWORD): Promise<Answer<Json>> {
    return this.call('POST', '/auth/register', { body: { username, email: `${username}@example.com`, password } });
  }

  login(name: string, password = PASSWORD): Promise<Answer<Json>> {
    return this.call('POST', '/auth/login', { body: { username_or_email: name, password } });
  }

  refresh(token: string): Promise<Answer<Json>> {
    return this.call('POST', '/auth/refresh', { body: { refresh_token: token } });
  }

  /** Registers and logs in. */
  async signUp(username: string): Promise<SignedUp> {
    const registered = await this.register(username);
    if (registered.status !== 201) throw new Error(`Registration failed: ${JSON.stringify(registered.body)}`);
    const { body } = await this.login(username);
    return {
      id: String(registered.body.id),
      username,
      accessToken: String(body.access_token),
      refreshToken: String(body.refresh_token),
    };
  }

  async close(): Promise<void> {
    await this.app.close();
    if (!this.ownsDatabase) return;
    await this.database.close();
    rmSync(this.settings.mail.dataDir, { recursive: true, force: true });
  }
}

@Module({})
class AuthTestModule {}

@Global()
@Module({})
class ClockModule {}

function clockModule(clock: Clock): DynamicModule {
  return { module: ClockModule, providers: [{ provide: Clock, useValue: clock }], exports: [Clock] };
}

function isJson(response: Response): boolean {
  return /[/+]json\b/.test(response.headers.get('content-type') ?? '');
}
