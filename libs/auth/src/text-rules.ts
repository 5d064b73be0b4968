import { PASSWORD_RULES, type TextRule } from '@devpocket/users';
import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
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

/** A password that is set: its rules, and how the document tells them. */
export const NewPassword = (): PropertyDecorator =>
  applyDecorators(
    ApiProperty({
      type: 'string',
      format: 'password',
      minLength: 8,
      maxLength: 100,
      description: 'At least one lower-case letter, one upper-case letter and one digit; at most 72 bytes as UTF-8',
    }),
    Obeys(PASSWORD_RULES),
  );

/** May be left out, but is not null when it is there. */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
