import { DomainError, isId } from '@devpocket/kernel';
import { type PipeTransform } from '@nestjs/common';

/** A path id: one that is malformed is as absent as an unknown one. Use as `@Param('id', new IdPipe('Environment'))`. */
export class IdPipe implements PipeTransform<string, string> {
  constructor(private readonly what: string) {}

  transform(value: string): string {
    if (!isId(value)) throw DomainError.notFound(this.what);
    return value;
  }
}
