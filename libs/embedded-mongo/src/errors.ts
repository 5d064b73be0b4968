/** MongoDB's names of the error codes that are answered here (its error_codes.yml). */
// prettier-ignore
const NAMES: Readonly<Record<number, string>> = {
  1: 'InternalError', 2: 'BadValue', 9: 'FailedToParse', 13: 'Unauthorized', 14: 'TypeMismatch', 15: 'Overflow',
  16: 'InvalidLength', 20: 'IllegalOperation', 22: 'InvalidBSON', 26: 'NamespaceNotFound', 27: 'IndexNotFound',
  28: 'PathNotViable', 40: 'ConflictingUpdateOperators', 43: 'CursorNotFound',
  52: 'DollarPrefixedFieldName', 53: 'InvalidIdField', 54: 'NotSingleValueField', 59: 'CommandNotFound',
  66: 'ImmutableField', 67: 'CannotCreateIndex', 72: 'InvalidOptions', 73: 'InvalidNamespace', 85: 'IndexOptionsConflict',
  86: 'IndexKeySpecsConflict', 175: 'QueryPlanKilled', 197: 'InvalidIndexSpecificationOption',
  238: 'NotImplemented', 292: 'QueryExceededMemoryLimitNoDiskUseAllowed', 352: 'UnsupportedOpQueryCommand',
  68: 'IndexAlreadyExists', 10334: 'BSONObjectTooLarge', 11000: 'DuplicateKey', 13297: 'DatabaseDifferCase', 40414: 'IDLFailedToParse', 40415: 'IDLUnknownField',
};

/** A refusal or failure with MongoDB's own code; `extra` are further values of the answer, such as keyPattern and keyValue. */
export class MongoError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly extra: Readonly<Record<string, object>> = {},
  ) {
    super(message);
  }

  get codeName(): string {
    return NAMES[this.code] ?? `Location${this.code}`;
  }
}

/** A refusal of something that MongoDB itself would have done. */
export class Refusal extends MongoError {}

/** MongoDB says so when a plan fails that had begun: its errors name the command first. */
export function prefixed(error: unknown, command: string): unknown {
  if (!(error instanceof MongoError) || error instanceof Refusal) return error;
  return new MongoError(error.code, `${command} :: caused by :: ${error.message}`, error.extra);
}
