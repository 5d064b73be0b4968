import { DomainError, type FieldError } from '@devpocket/kernel';
import { ValidationPipe, type ValidationError } from '@nestjs/common';

/** Nobody reads more. */
const MOST_ERRORS = 100;

/** The pipe of every route: unknown members are refused, types are not coerced but in queries, and faults name their field. */
export function validationPipe(): ValidationPipe {
  return new ValidationPipe({
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
