import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type StoredAnswer } from './idempotency';

@Schema({ collection: 'idempotency_keys', versionKey: false, strict: 'throw' })
export class IdempotencyRecord {
  /** HMAC of (user, method, path, key). */
  @Prop({ type: String, required: true })
  _id!: string;

  /** HMAC of the body: bodies may hold secrets. */
  @Prop({ type: String, required: true })
  body_hash!: string;

  /** Null while the first request runs. */
  @Prop({ type: Object, default: null })
  answer!: StoredAnswer | null;

  /** Who may run it; a crashed holder's lease ends by itself. */
  @Prop({ type: String, required: true })
  holder!: string;

  @Prop({ type: Date, required: true })
  lease_until!: Date;

  @Prop({ type: Date, required: true })
  expires_at!: Date;
}

export const IdempotencySchema = SchemaFactory.createForClass(IdempotencyRecord);
IdempotencySchema.index({ expires_at: 1 }, { expireAfterSeconds: 0 });
