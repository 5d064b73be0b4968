import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { SchemaTypes, type Types } from 'mongoose';

const FORGET_SECONDS = 180 * 24 * 3600;

/** A kind of device that an account signs in from. */
@Schema({ collection: 'devices', versionKey: false, strict: 'throw' })
export class DeviceRecord {
  _id!: Types.ObjectId;

  @Prop({ type: SchemaTypes.ObjectId, required: true })
  user_id!: Types.ObjectId;

  /** SHA-256 of what it said that it is, hex. */
  @Prop({ type: String, required: true })
  device!: string;

  @Prop({ type: Date, required: true })
  seen_at!: Date;
}

export const DeviceSchema = SchemaFactory.createForClass(DeviceRecord);
DeviceSchema.index({ user_id: 1, device: 1 }, { unique: true });
DeviceSchema.index({ seen_at: 1 }, { expireAfterSeconds: FORGET_SECONDS });
