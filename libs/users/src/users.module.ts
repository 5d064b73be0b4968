import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { AllowanceRegistry } from './allowance-registry';
import { AllowanceService } from './allowance.service';
import { CredentialsService } from './credentials.service';
import { RemovalRegistry } from './removal-registry';
import { UserRepository } from './user.repository';
import { UserRecord, UserSchema } from './user.schema';
import { UsersController } from './users.controller';
import { UsersService } from './users.service';

@Module({
  imports: [MongooseModule.forFeature([{ name: UserRecord.name, schema: UserSchema }])],
  controllers: [UsersController],
  providers: [UserRepository, UsersService, CredentialsService, AllowanceRegistry, AllowanceService, RemovalRegistry],
  exports: [UsersService, CredentialsService, AllowanceRegistry, RemovalRegistry],
})
export class UsersModule {}
