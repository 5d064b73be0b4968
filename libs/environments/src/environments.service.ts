import { type Principal } from '@devpocket/access';
import { AuthSettings, RuntimeSettings } from '@devpocket/config';
import { Clock, DomainError, Looks, type Page, type PageRequest, type Region } from '@devpocket/kernel';
import { type Place, type RuntimeKind } from '@devpocket/runtime';
import { CUSTOM_TEMPLATE, type Template, TemplatesService } from '@devpocket/templates';
import { PLAN_LIMITS } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { type Environment, type Resources, type Status } from './environment';
import { EnvironmentEvents } from './environment-events';
import { emailNotVerified, environmentNotFound, invalidState, limitReached, nameTaken } from './environment.errors';
import { NOTHING_SEEN, show } from './environment.machine';
import { checkAutoStop, checkDescription, checkPlan, checkVariables, clip, imageAllowed, toLimits } from './environment.policy';
import { EnvironmentPlacement } from './environment-placement';
import { placeOf } from './environment-specs';
import { EnvironmentReconciler } from './environment.reconciler';
import { type AllEnvironmentsFilter, type EnvironmentFilter, EnvironmentRepository } from './environment.repository';

export interface Creation {
  readonly name: string;
  readonly template: string;
  readonly description: string | null;
  readonly image: string | null;
  readonly resources: Partial<Resources>;
  readonly environmentVariables: Readonly<Record<string, string>>;
  readonly region: Region | null;
  readonly autoStopMinutes: number | null;
}

export interface Change {
  readonly name?: string;
  readonly description?: string | null;
  readonly resources?: Partial<Resources>;
  readonly environmentVariables?: Readonly<Record<string, string>>;
  readonly autoStopMinutes?: number | null;
  /** To the version of its template that is offered now. */
  readonly latestTemplate?: boolean;
}

/** What takes effect only with the next start. */
export type RestartRequired = 'resources' | 'environment_variables' | 'template_version';

/** What a terminal needs to know of an environment. */
export interface LocatedEnvironment {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly template: string;
  readonly status: Status;
  readonly statusVersion: number;
  readonly runtimeKind: RuntimeKind;
  readonly place: Place;
  readonly incarnation: number;
}

const ACCESS_MS = 1_000;

@Injectable()
export class EnvironmentsService {
  private readonly looks = new Looks<Environment>();

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly templates: TemplatesService,
    private readonly events: EnvironmentEvents,
    private readonly reconciler: EnvironmentReconciler,
    private readonly placement: EnvironmentPlacement,
    private readonly settings: RuntimeSettings,
    private readonly auth: AuthSettings,
    private readonly clock: Clock,
  ) {}

  /**
   * @param scope see `IdempotencyScope`: asked again under it, the same environment is the answer
   * @throws DomainError `email_not_verified | environment_limit_reached | plan_limit_exceeded | name_taken | validation_error |
   *   no_cluster_available`
   */
  async create(principal: Principal, creation: Creation, scope: string | null): Promise<Environment> {
    const repeated = scope === null ? null : await this.environments.findByScope(scope);
    if (repeated) return repeated;
    if (this.auth.verifiesEmail && !principal.isVerified) throw emailNotVerified();
    const template = await this.templateOf(creation.template);
    const { plan } = principal;
    const resources = { ...clip(template.defaultResources, plan), ...creation.resources };
    const limits = toLimits(resources);
    checkPlan(limits, plan);
    checkDescription(creation.description);
    checkVariables(creation.environmentVariables);
    checkAutoStop(creation.autoStopMinutes, plan);
    const now = this.clock.now();
    const wanted = { desired: 'running', generation: 1, why: 'user' } as const;
    const result = await this.placement.insert(
      {
        userId: principal.userId,
        name: creation.name.toLowerCase(),
        description: creation.description,
        ...originOf(template, this.imageOf(template, creation.image)),
        resources,
        limits,
        environmentVariables: creation.environmentVariables,
        region: creation.region,
        wanted,
        observed: NOTHING_SEEN,
        shown: show(wanted, NOTHING_SEEN),
        since: now,
        progressAt: now,
        createdAt: now,
        autoStopMinutes: creation.autoStopMinutes,
        planAutoStopMinutes: PLAN_LIMITS[plan].autoStopMinutes,
        planLongestRunMinutes: PLAN_LIMITS[plan].longestRunMinutes,
        idempotencyScope: scope,
      },
      PLAN_LIMITS[plan],
    );
    switch (result) {
      case 'active_limit':
      case 'kept_limit': {
        const which = result === 'active_limit' ? 'active' : 'kept';
        throw limitReached(which, plan, (await this.environments.places(principal.userId))[which].length);
      }
      case 'name_taken':
        throw nameTaken();
      case 'repeated':
      case 'cluster_full':
      case 'changed':
        return this.create(principal, creation, scope);
      default:
        await this.events.tell(result);
        this.reconciler.wake();
        return result;
    }
  }

  /** @throws DomainError `not_found`: absent, deleted or another's */
  async get(principal: Principal, id: string): Promise<Environment> {
    const found = await this.environments.findOwned(principal.userId, id);
    if (!found) throw environmentNotFound();
    return found;
  }

  list(principal: Principal, filter: EnvironmentFilter, page: PageRequest): Promise<Page<Environment>> {
    return this.environments.list(principal.userId, filter, page);
  }

  /** Everybody's, those on their way out too: for administrators. */
  listAll(filter: AllEnvironmentsFilter, page: PageRequest): Promise<Page<Environment>> {
    return this.environments.listAll(filter, page);
  }

  /** @throws DomainError `not_found` */
  async locate(principal: Principal, id: string): Promise<LocatedEnvironment> {
    const environment = await this.looks.get(`${principal.userId}/${id}`, () => this.get(principal, id));
    const { userId, name, template, shown, statusVersion, runtimeKind, wanted, lastAccessed } = environment;
    // To the second: a page that opens several sockets is one access, and one write.
    if (this.clock.millis() - (lastAccessed?.getTime() ?? 0) >= ACCESS_MS)
      await this.environments.recordAccess(id, this.clock.now());
    return {
      id,
      userId,
      name,
      template: template.name,
      status: shown.status,
      statusVersion,
      runtimeKind,
      place: placeOf(environment),
      incarnation: wanted.generation,
    };
  }

  /** @throws DomainError `not_found | name_taken | plan_limit_exceeded | validation_error` */
  async change(
    principal: Principal,
    id: string,
    change: Change,
  ): Promise<{ readonly environment: Environment; readonly restartRequired: readonly RestartRequired[] }> {
    const before = await this.get(principal, id);
    const { plan } = principal;
    if (change.description) checkDescription(change.description);
    if (change.environmentVariables) checkVariables(change.environmentVariables);
    if (change.autoStopMinutes !== undefined) checkAutoStop(change.autoStopMinutes, plan);
    const resources = change.resources && { ...before.resources, ...change.resources };
    const limits = resources && toLimits(resources);
    if (limits) {
      if (limits.storageBytes < before.limits.storageBytes) {
        const message = `can only grow; it is ${before.resources.storage}, and ${resources.storage} was given`;
        throw DomainError.invalid({ field: 'resources.storage', code: 'storage_shrink', message });
      }
      checkPlan(limits, plan, before.limits);
    }
    const template = change.latestTemplate ? await this.laterTemplate(before) : null;
    const after = await this.environments.edit(before, {
      ...(change.name === undefined ? {} : { name: change.name.toLowerCase() }),
      ...(change.description === undefined ? {} : { description: change.description }),
      ...(resources && limits ? { resources, limits } : {}),
      ...(change.environmentVariables === undefined ? {} : { environmentVariables: change.environmentVariables }),
      ...(change.autoStopMinutes === undefined
        ? {}
        : { autoStopMinutes: change.autoStopMinutes, planAutoStopMinutes: PLAN_LIMITS[plan].autoStopMinutes }),
      ...(template ? { origin: originOf(template, template.image ?? before.image) } : {}),
    });
    if (after === 'name_taken') throw nameTaken();
    if (typeof after === 'string') return this.change(principal, id, change);
    const alive = after.shown.status !== 'stopped' && after.shown.status !== 'error';
    const restartRequired: RestartRequired[] = [];
    if (alive && limits && JSON.stringify(limits) !== JSON.stringify(before.limits)) restartRequired.push('resources');
    if (alive && change.environmentVariables && !sameVariables(before.environmentVariables, change.environmentVariables))
      restartRequired.push('environment_variables');
    if (alive && template) restartRequired.push('template_version');
    return { environment: after, restartRequired };
  }

  /** @throws DomainError `not_found | invalid_state` */
  async keepAlive(principal: Principal, id: string, minutes: number): Promise<Environment> {
    const { shown } = await this.get(principal, id);
    if (shown.status !== 'running') throw invalidState(shown.status, ['running']);
    const kept = await this.environments.keep(principal.userId, id, new Date(this.clock.millis() + minutes * 60_000));
    if (!kept) throw environmentNotFound();
    return kept;
  }

  /** @throws DomainError 422 naming the field */
  private async templateOf(name: string): Promise<Template> {
    const template = await this.templates.find(name);
    if (!template)
      throw DomainError.invalid({
        field: 'template',
        code: 'unknown_template',
        message: `is not a template: ${name.slice(0, 60)}`,
      });
    if (template.status === 'deprecated')
      throw DomainError.invalid({ field: 'template', code: 'template_deprecated', message: `is no longer offered: ${name}` });
    return template;
  }

  /** Null: it is made from that version already. @throws DomainError 422 when its template is offered no more */
  private async laterTemplate({ template: { name, version } }: Environment): Promise<Template | null> {
    const template = await this.templates.find(name);
    if (!template || template.status === 'deprecated')
      throw DomainError.invalid({
        field: 'template_version',
        code: 'template_deprecated',
        message: `cannot be a later one: the template is no longer offered: ${name}`,
      });
    return template.version > version ? template : null;
  }

  private imageOf(template: Template, image: string | null): string {
    const refuse = (code: string, message: string): never => {
      throw DomainError.invalid({ field: 'image', code, message });
    };
    if (template.name !== CUSTOM_TEMPLATE)
      return image === null ? (template.image ?? '') : refuse('image_not_allowed', `is only for the template ${CUSTOM_TEMPLATE}`);
    if (!this.settings.allowCustomImages) return refuse('image_not_allowed', 'of your own is not allowed on this server');
    if (image === null) return refuse('required', `is needed for the template ${CUSTOM_TEMPLATE}`);
    return imageAllowed(image, this.settings.allowedImagePatterns)
      ? image
      : refuse('image_not_allowed', `is not among those that this server allows: ${image.slice(0, 200)}`);
  }
}

/** What an environment keeps of the template that it is made from. */
function originOf(template: Template, image: string) {
  return {
    template: { name: template.name, version: template.version },
    image,
    defaultPort: template.defaultPort,
    startupCommands: template.startupCommands,
    readOnlyRoot: template.readOnlyRoot,
    templateVariables: template.environmentVariables,
  };
}

function sameVariables(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
