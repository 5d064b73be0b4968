import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';
import { type SignInMethod } from './session.machine';

/** An ended session is kept a little, so that its last token is told `token_expired` rather than that it was revoked. */
const KEEP_EXPIRED_SECONDS = 7 * 24 * 3600;

@Schema({ collection: 'sessions', versionKey: false, strict: 'throw' })
export class SessionRecord {
  _id!: Types.ObjectId;

  @Prop({ type: SchemaTypes.ObjectId, required: true })
  user_id!: Types.ObjectId;

  /** Left out: by password. */
  @Prop({ type: String })
  method?: SignInMethod;

  @Prop({ type: Number, required: true })
  epoch!: number;

  /** SHA-256 of the current refresh token. */
  @Prop({ type: String, required: true })
  current_hash!: string;

  @Prop({ type: String, default: null })
  prior_hash!: string | null;

  @Prop({ type: Date, default: null })
  rotated_at!: Date | null;

  @Prop({ type: String, default: null })
  user_agent!: string | null;

  @Prop({ type: String, default: null })
  ip!: string | null;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, required: true })
  last_used_at!: Date;

  @Prop({ type: Date, required: true })
  expires_at!: Date;
}

export const SessionSchema = SchemaFactory.createForClass(SessionRecord);
SessionSchema.index({ user_id: 1, created_at: -1, _id: -1 });
SessionSchema.index({ expires_at: 1 }, { expireAfterSeconds: KEEP_EXPIRED_SECONDS });
