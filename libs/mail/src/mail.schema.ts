import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';

@Schema({ collection: 'mails', versionKey: false, strict: 'throw' })
export class MailRecord {
  _id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  kind!: string;

  @Prop({ type: Object, required: true })
  facts!: Record<string, string>;

  @Prop({ type: Date, required: true })
  queued_at!: Date;

  @Prop({ type: Number, required: true })
  tries!: number;

  /** Also the end of the lease of whoever is at it: until then nobody else is. */
  @Prop({ type: Date, required: true })
  next_try!: Date;
}

export const MailSchema = SchemaFactory.createForClass(MailRecord);
MailSchema.index({ next_try: 1 });
