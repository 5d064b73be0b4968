import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';

export const MAIL_TOKEN_PURPOSES = ['verify', 'reset'] as const;
export type MailTokenPurpose = (typeof MAIL_TOKEN_PURPOSES)[number];

@Schema({ collection: 'mail_tokens', versionKey: false, strict: 'throw' })
export class MailTokenRecord {
  _id!: Types.ObjectId;

  /** SHA-256 of the token, hex. */
  @Prop({ type: String, required: true })
  hash!: string;

  @Prop({ type: String, required: true })
  purpose!: MailTokenPurpose;

  @Prop({ type: SchemaTypes.ObjectId, required: true })
  user_id!: Types.ObjectId;

  /** Whoever shows the token has read a mail sent there. */
  @Prop({ type: String, required: true })
  email!: string;

  @Prop({ type: Date, required: true })
  expires_at!: Date;
}

export const MailTokenSchema = SchemaFactory.createForClass(MailTokenRecord);
MailTokenSchema.index({ hash: 1 }, { unique: true });
MailTokenSchema.index({ user_id: 1, purpose: 1 });
MailTokenSchema.index({ expires_at: 1 }, { expireAfterSeconds: 0 });
