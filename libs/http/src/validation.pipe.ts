import { DomainError, type FieldError } from '@devpocket/kernel';
import { type ArgumentMetadata, ValidationPipe, type ValidationError } from '@nestjs/common';

/** Nobody reads more. */
const MOST_ERRORS = 100;

/** Names that class-transformer and Mongoose cannot copy. Nest's own pipe takes such members away unseen. */
const RESERVED = ['__proto__', 'constructor'];

class SeeingPipe extends ValidationPipe {
  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body' || metadata.type === 'query') refuseInherited(value, metadata.metatype);
    return super.transform(value, metadata) as Promise<unknown>;
  }

  protected override stripProtoKeys(value: unknown): void {
    refuseReserved(value, '');
  }
}

/** class-transformer takes away unseen what is named as a method that every object has, or the DTO's own. @throws DomainError naming it */
function refuseInherited(value: unknown, metatype: ArgumentMetadata['metatype']): void {
  if (typeof value !== 'object' || value === null || !metatype) return;
  const prototype: unknown = metatype.prototype;
  const field = Object.keys(value).find((key) => !RESERVED.includes(key) && key in Object(prototype));
  if (field !== undefined) throw DomainError.invalid({ field, code: 'unknown_field', message: 'should not exist' });
}

/** @throws DomainError naming the first reserved member. A body is at most as deep as `checkJsonSize` lets it be. */
function refuseReserved(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    const field = path === '' ? key : `${path}.${key}`;
    if (RESERVED.includes(key))
      throw DomainError.invalid({ field, code: 'reserved_name', message: 'is a name that cannot be used' });
    refuseReserved(member, field);
  }
}

/** The pipe of every route: unknown members are refused, types are not coerced but in queries, and faults name their field. */
export function validationPipe(): ValidationPipe {
  return new SeeingPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    transform: true,
    stopAtFirstError: true,
    validationError: { target: false, value: false },
    exceptionFactory: (errors) =>
      DomainError.invalid(
        ...errors
          .slice(0, MOST_ERRORS)
          .flatMap((error) => fieldErrors(error, ''))
          .slice(0, MOST_ERRORS),
      ),
  });
}

function fieldErrors(error: ValidationError, parent: string): FieldError[] {
  const field = parent === '' ? error.property : `${parent}.${error.property}`;
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
    field,
    code: codeOf(error.contexts?.[rule], rule),
    message: message.startsWith(`${error.property} `) ? message.slice(error.property.length + 1) : message,
  }));
  return [...own, ...(error.children ?? []).flatMap((child) => fieldErrors(child, field))];
}

/** A rule's own code (`context: { code }`), else its name in snake case. */
function codeOf(context: unknown, rule: string): string {
  if (typeof context === 'object' && context !== null && 'code' in context && typeof context.code === 'string')
    return context.code;
  if (rule === 'whitelistValidation') return 'unknown_field';
  return rule.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
