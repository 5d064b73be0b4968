import { DomainError } from '@devpocket/kernel';
import { type ArgumentsHost, Catch, Controller, type ExceptionFilter, Get, type INestApplication, Module } from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import passport, { Strategy } from 'passport';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { AccessModule } from './access.module';
import { CurrentPrincipal } from './current-principal';
import { type Principal, SCOPES } from './principal';
import { Admin, AnyCredential, NeedsScope, Public, routeAccess } from './route-access';
import { StrategyName } from './strategy-name';

@Controller()
class Routes {
  @Get('open')
  @Public()
  open(): string {
    return 'open';
  }

  @Get('plain')
  plain(@CurrentPrincipal() caller: Principal): string {
    return caller.username;
  }
}

@Admin()
@Controller('office')
class Office {
  @Get()
  desk(): string {
    return 'desk';
  }

  @Get('door')
  @Public()
  door(): string {
    return 'door';
  }

  @Get('shelf')
  @NeedsScope('env:read')
  shelf(): string {
    return 'shelf';
  }

  @Get('bell')
  @AnyCredential()
  bell(): string {
    return 'bell';
  }
}

/** Knows one token, and breaks on another. */
class NameStrategy extends Strategy {
  constructor(private readonly username: string) {
    super();
  }

  override authenticate(this: this & PassportActions, request: IncomingMessage): void {
    const token = request.headers.authorization;
    if (token === undefined) return this.fail(new Error('No auth token'));
    if (token === 'Bearer ended') return this.error(new DomainError('unauthenticated', 'session_revoked', 'It has ended'));
    if (token !== 'Bearer good') return this.fail(new Error('jwt malformed'));
    const credential = { kind: 'session', id: '1', userId: '1' } as const;
    const rights = { role: 'user', plan: 'free', isVerified: true, scopes: new Set(SCOPES), expiresAt: null } as const;
    this.success({ userId: '1', username: this.username, credential, ...rights } satisfies Principal);
  }
}

interface PassportActions {
  fail(challenge: Error): void;
  error(error: Error): void;
  success(user: object): void;
}

@Catch()
class CodeFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<ServerResponse>();
    response.statusCode = error instanceof DomainError ? 418 : 500;
    response.end(error instanceof DomainError ? error.code : String(error));
  }
}

@Module({ imports: [AccessModule], controllers: [Routes, Office] })
class TestModule {}

async function start(username: string): Promise<INestApplication> {
  const app = await NestFactory.create(TestModule, { logger: false });
  passport.use(app.get(StrategyName).value, new NameStrategy(username));
  app.useGlobalFilters(new CodeFilter());
  await app.listen(0, '127.0.0.1');
  return app;
}

async function get(app: INestApplication, path: string, token?: string): Promise<string> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await fetch(`${await app.getUrl()}${path}`, { headers })).text();
}

describe('AccessGuard', () => {
  let first: INestApplication;
  let second: INestApplication;
  beforeAll(async () => {
    first = await start('ada');
    second = await start('grace');
  });
  afterAll(async () => {
    await first.close();
    await second.close();
  });

  it('is closed by default, and says why', async () => {
    expect(await get(first, '/plain')).toBe('token_missing');
    expect(await get(first, '/plain', 'nonsense')).toBe('token_invalid');
    expect(await get(first, '/plain', 'ended')).toBe('session_revoked');
    expect(await get(first, '/plain', 'good')).toBe('ada');
  });

  it('opens what says so, without looking at a token', async () => {
    expect(await get(first, '/open')).toBe('open');
    expect(await get(first, '/open', 'nonsense')).toBe('open');
  });

  it("takes the handler's word before its controller's", async () => {
    expect(await get(first, '/office', 'good')).toBe('forbidden');
    expect(await get(first, '/office/door')).toBe('door');
    expect(await get(first, '/office/shelf', 'good')).toBe('shelf');
    expect(await get(first, '/office/bell')).toBe('token_missing');
  });

  it('keeps two applications of one process apart', async () => {
    expect(await get(second, '/plain', 'good')).toBe('grace');
    expect(await get(first, '/plain', 'good')).toBe('ada');
  });

  it('shows the same metadata to whoever walks the routes', () => {
    const reflector = new Reflector();
    expect(routeAccess(reflector, Routes.prototype.plain, Routes)).toEqual({ kind: 'session' });
    expect(routeAccess(reflector, Routes.prototype.open, Routes)).toEqual({ kind: 'public' });
    expect(routeAccess(reflector, Office.prototype.desk, Office)).toEqual({ kind: 'admin' });
    expect(routeAccess(reflector, Office.prototype.shelf, Office)).toEqual({ kind: 'scope', scope: 'env:read' });
    expect(routeAccess(reflector, Office.prototype.bell, Office)).toEqual({ kind: 'credential' });
  });
});
