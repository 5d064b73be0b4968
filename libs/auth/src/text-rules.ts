import { type TextRule } from '@devpocket/users';
import { applyDecorators } from '@nestjs/common';
import { IsString, ValidateBy, ValidateIf } from 'class-validator';

/** The rules of a text field as validators: each fault is told by its rule's own code. */
export function Obeys(rules: readonly TextRule[]): PropertyDecorator {
  const validators = rules.map(({ code, message, holds }) =>
    ValidateBy({
      name: code,
      validator: {
        validate: (value: unknown) => typeof value === 'string' && holds(value),
        defaultMessage: () => `$property ${message}`,
      },
    }),
  );
  return applyDecorators(IsString(), ...validators);
}

/** May be left out, but is not null when it is there. */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
