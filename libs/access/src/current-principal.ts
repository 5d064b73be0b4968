import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { principalOf } from './access.guard';

/** The principal that the guard put on the request. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext) => principalOf(context));
