import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsNotEmpty, IsString, Matches, MaxLength } from 'class-validator';
import { MayBeAbsent } from './text-rules';

const MOST_TOKEN_CHARACTERS = 16_384;
const MOST_NONCE_CHARACTERS = 512;
const MOST_CODE_CHARACTERS = 128;

export class GoogleLoginQuery {
  @ApiProperty({
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{43}$',
    description: 'SHA-256 of the verifier as base64url (RFC 7636 §4.2)',
  })
  @Matches(/^[A-Za-z0-9_-]{43}$/, {
    message: 'code_challenge must be the SHA-256 of a verifier as base64url (RFC 7636)',
    context: { code: 'invalid_code_challenge' },
  })
  @IsString()
  code_challenge!: string;

  @ApiPropertyOptional({ type: 'string', enum: ['S256'] })
  @MayBeAbsent()
  @IsIn(['S256'], { message: 'code_challenge_method must be S256', context: { code: 'invalid_code_challenge_method' } })
  code_challenge_method?: string;
}

export class GoogleTokenDto {
  @ApiProperty({
    type: 'string',
    minLength: 1,
    maxLength: MOST_TOKEN_CHARACTERS,
    description: 'An ID token (a JWT) for this server’s client id',
  })
  @MaxLength(MOST_TOKEN_CHARACTERS, { message: `token must be at most ${MOST_TOKEN_CHARACTERS} characters long` })
  @IsNotEmpty({ message: 'token is needed', context: { code: 'required' } })
  @IsString()
  token!: string;

  @ApiPropertyOptional({
    type: 'string',
    minLength: 1,
    maxLength: MOST_NONCE_CHARACTERS,
    description: 'What the token was asked for with, where the app made a nonce; it must be the token’s',
  })
  @MayBeAbsent()
  @MaxLength(MOST_NONCE_CHARACTERS, { message: `nonce must be at most ${MOST_NONCE_CHARACTERS} characters long` })
  @IsNotEmpty({ message: 'nonce must not be empty', context: { code: 'required' } })
  @IsString()
  nonce?: string;
}

export class GoogleLinkDto extends GoogleTokenDto {
  @ApiPropertyOptional({
    type: 'string',
    format: 'password',
    minLength: 1,
    description: 'Left out of an account that has none: a Google sign-in less than 5 minutes old takes its place',
  })
  @MayBeAbsent()
  @IsNotEmpty({ message: 'current_password must not be empty', context: { code: 'required' } })
  @IsString()
  current_password?: string;
}

export class GoogleExchangeDto {
  @ApiProperty({
    type: 'string',
    minLength: 1,
    maxLength: MOST_CODE_CHARACTERS,
    description: 'From the address that the browser ended at',
  })
  @MaxLength(MOST_CODE_CHARACTERS, { message: `code must be at most ${MOST_CODE_CHARACTERS} characters long` })
  @IsNotEmpty({ message: 'code is needed', context: { code: 'required' } })
  @IsString()
  code!: string;

  @ApiProperty({
    type: 'string',
    pattern: '^[A-Za-z0-9._~-]{43,128}$',
    description: 'Whose challenge the sign-in began with (RFC 7636 §4.1)',
  })
  @Matches(/^[A-Za-z0-9._~-]{43,128}$/, {
    message: 'code_verifier must be 43–128 of letters, digits, -, ., _ and ~',
    context: { code: 'invalid_code_verifier' },
  })
  @IsString()
  code_verifier!: string;
}
