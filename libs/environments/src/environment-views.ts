import { TemplatesService } from '@devpocket/templates';
import { Injectable } from '@nestjs/common';
import { type Environment } from './environment';
import { type EnvironmentDto } from './environment.dto';
import { toEnvironmentDto } from './environment.view';

/** Environments as clients see them, beside what templates are now. */
@Injectable()
export class EnvironmentViews {
  constructor(private readonly templates: TemplatesService) {}

  async one(environment: Environment): Promise<EnvironmentDto> {
    return toEnvironmentDto(environment, await this.templates.offered());
  }

  /** Shows any number, by what templates are now. */
  async each(): Promise<(environment: Environment) => EnvironmentDto> {
    const offered = await this.templates.offered();
    return (environment) => toEnvironmentDto(environment, offered);
  }
}
