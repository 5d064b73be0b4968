import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';

/** Passport keeps one table of strategies per process; a name of its own keeps each application in it apart. */
@Injectable()
export class StrategyName {
  readonly value = `bearer-${randomUUID()}`;
}
