import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';

/** A sign-in in a browser that came back from Google: kept so that its state, and then its code, are used once. */
@Schema({ collection: 'google_flows', versionKey: false, strict: 'throw' })
export class GoogleFlowRecord {
  _id!: Types.ObjectId;

  /** SHA-256 of the state, hex. */
  @Prop({ type: String, required: true })
  state_hash!: string;

  /** SHA-256 of the code that waits to be exchanged, hex; left out before there is one and after it was used. */
  @Prop({ type: String })
  code_hash?: string;

  @Prop({ type: Date })
  code_expires_at?: Date;

  /** The app's: SHA-256 of its verifier, base64url (RFC 7636 §4.2). */
  @Prop({ type: String })
  code_challenge?: string;

  @Prop({ type: SchemaTypes.ObjectId })
  user_id?: Types.ObjectId;

  /** The account's when the code was made. */
  @Prop({ type: Number })
  session_epoch?: number;

  /** When the state is of no use any more, used or not. */
  @Prop({ type: Date, required: true })
  expires_at!: Date;
}

export const GoogleFlowSchema = SchemaFactory.createForClass(GoogleFlowRecord);
GoogleFlowSchema.index({ state_hash: 1 }, { unique: true });
GoogleFlowSchema.index({ code_hash: 1 }, { unique: true, partialFilterExpression: { code_hash: { $exists: true } } });
GoogleFlowSchema.index({ user_id: 1 }, { partialFilterExpression: { user_id: { $exists: true } } });
GoogleFlowSchema.index({ expires_at: 1 }, { expireAfterSeconds: 0 });
