import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';
import { type TemplateResources, type TemplateStatus } from './template';

@Schema({ collection: 'templates', versionKey: false, strict: 'throw', minimize: false })
export class TemplateRecord {
  _id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  name!: string;

  @Prop({ type: String, required: true })
  display_name!: string;

  @Prop({ type: String, default: '' })
  description!: string;

  @Prop({ type: String, required: true })
  category!: string;

  @Prop({ type: [String], required: true })
  tags!: string[];

  @Prop({ type: String, default: null })
  image!: string | null;

  @Prop({ type: Number, default: null })
  default_port!: number | null;

  @Prop({ type: Object, required: true })
  default_resources!: TemplateResources;

  @Prop({ type: Object, required: true })
  environment_variables!: Record<string, string>;

  @Prop({ type: [String], required: true })
  startup_commands!: string[];

  @Prop({ type: Boolean, default: false })
  read_only_root?: boolean;

  @Prop({ type: Number, required: true })
  version!: number;

  @Prop({ type: String, required: true })
  status!: TemplateStatus;

  @Prop({ type: String, default: null })
  icon_url!: string | null;

  @Prop({ type: String, default: null })
  documentation_url!: string | null;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, required: true })
  updated_at!: Date;
}

export const TemplateSchema = SchemaFactory.createForClass(TemplateRecord);
TemplateSchema.index({ name: 1 }, { unique: true });
