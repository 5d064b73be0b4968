import { AuditModule } from '@devpocket/audit';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { TemplateRepository } from './template.repository';
import { TemplateRecord, TemplateSchema } from './template.schema';
import { TemplatesController } from './templates.controller';
import { TemplatesService } from './templates.service';

@Module({
  imports: [AuditModule, MongooseModule.forFeature([{ name: TemplateRecord.name, schema: TemplateSchema }])],
  controllers: [TemplatesController],
  providers: [TemplateRepository, TemplatesService],
  exports: [TemplatesService],
})
export class TemplatesModule {}
