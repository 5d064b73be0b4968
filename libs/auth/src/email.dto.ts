import { EMAIL_RULES } from '@devpocket/users';
import { ApiProperty } from '@nestjs/swagger';
import { IsNotEmpty, IsString, MaxLength } from 'class-validator';
import { NewPassword, Obeys } from './text-rules';

const MOST_TOKEN_CHARACTERS = 128;

export class MailTokenDto {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: MOST_TOKEN_CHARACTERS, description: 'The code of the mail' })
  @MaxLength(MOST_TOKEN_CHARACTERS, { message: `token must be at most ${MOST_TOKEN_CHARACTERS} characters long` })
  @IsNotEmpty({ message: 'token is needed', context: { code: 'required' } })
  @IsString()
  token!: string;
}

export class ForgotPasswordDto {
  @ApiProperty({ type: 'string', format: 'email', maxLength: 254 })
  @Obeys(EMAIL_RULES)
  email!: string;
}

export class ResetPasswordDto extends MailTokenDto {
  @NewPassword()
  new_password!: string;
}
