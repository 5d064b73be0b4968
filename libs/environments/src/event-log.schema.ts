import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';
import { type EnvironmentEvent } from './environment.events';

/** One event of a user's log. */
@Schema({ collection: 'user_events', versionKey: false, strict: 'throw', minimize: false })
export class EventRecord {
  _id!: Types.ObjectId;

  @Prop({ type: Object, required: true })
  user_id!: Types.ObjectId;

  /** 1, 2, 3 … for each user, without a hole. */
  @Prop({ type: Number, required: true })
  seq!: number;

  @Prop({ type: Object, required: true })
  environment_id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  key!: string;

  @Prop({ type: Date, required: true })
  written_at!: Date;

  @Prop({ type: Object, required: true })
  event!: EnvironmentEvent;
}

export const EventSchema = SchemaFactory.createForClass(EventRecord);
// Whoever writes N has seen N - 1, and of two that write N one is refused: nothing below what was read can appear later.
EventSchema.index({ user_id: 1, seq: 1 }, { unique: true });
EventSchema.index({ environment_id: 1, key: 1 }, { unique: true });
EventSchema.index({ written_at: 1 });
