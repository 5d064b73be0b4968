import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';

/** A person at Google who signs in to an account here. In no answer. */
@Schema({ collection: 'google_identities', versionKey: false, strict: 'throw' })
export class GoogleIdentityRecord {
  _id!: Types.ObjectId;

  /** Google's `sub`: never given to anybody else, also when the address changes. */
  @Prop({ type: String, required: true })
  subject!: string;

  @Prop({ type: SchemaTypes.ObjectId, required: true })
  user_id!: Types.ObjectId;

  /** `nameKey` of the address that Google told last. */
  @Prop({ type: String, required: true })
  email_key!: string;

  /** The account's identity epoch in which it joined; in a later one it has parted. */
  @Prop({ type: Number, required: true })
  epoch!: number;

  @Prop({ type: Date, required: true })
  joined_at!: Date;
}

export const GoogleIdentitySchema = SchemaFactory.createForClass(GoogleIdentityRecord);
GoogleIdentitySchema.index({ subject: 1 }, { unique: true });
GoogleIdentitySchema.index({ user_id: 1 });
