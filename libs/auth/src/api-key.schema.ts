import { type Scope } from '@devpocket/access';
import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';

/** An expired key stays in its owner's list for a while, so that "why does it not work" has an answer. */
const EXPIRED_SECONDS = 30 * 24 * 3600;

@Schema({ collection: 'api_keys', versionKey: false, strict: 'throw' })
export class ApiKeyRecord {
  _id!: Types.ObjectId;

  @Prop({ type: SchemaTypes.ObjectId, required: true })
  user_id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  name!: string;

  @Prop({ type: String, required: true })
  prefix!: string;

  @Prop({ type: String, required: true })
  hash!: string;

  @Prop({ type: [String], required: true })
  scopes!: Scope[];

  @Prop({ type: Number, required: true })
  epoch!: number;

  /** Of the places that an account's keys have. */
  @Prop({ type: Number, required: true })
  slot!: number;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, default: null })
  expires_at!: Date | null;

  @Prop({ type: Date, default: null })
  last_used_at!: Date | null;
}

export const ApiKeySchema = SchemaFactory.createForClass(ApiKeyRecord);
ApiKeySchema.index({ prefix: 1 }, { unique: true });
ApiKeySchema.index({ user_id: 1, slot: 1 }, { unique: true });
ApiKeySchema.index({ user_id: 1, created_at: -1, _id: -1 });
ApiKeySchema.index({ expires_at: 1 }, { expireAfterSeconds: EXPIRED_SECONDS });
