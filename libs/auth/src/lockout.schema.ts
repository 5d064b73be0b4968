import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';

@Schema({ collection: 'login_attempts', versionKey: false, strict: 'throw' })
export class LockoutRecord {
  /** HMAC of the account's id, or of the submitted name when there is no such account. */
  @Prop({ type: String, required: true })
  _id!: string;

  @Prop({ type: String, required: true })
  round!: string;

  @Prop({ type: Number, required: true })
  taken!: number;

  @Prop({ type: Number, required: true })
  wrong!: number;

  @Prop({ type: Date, required: true })
  last_taken_at!: Date;

  @Prop({ type: Date, required: true })
  expires_at!: Date;
}

export const LockoutSchema = SchemaFactory.createForClass(LockoutRecord);
LockoutSchema.index({ expires_at: 1 }, { expireAfterSeconds: 0 });
