import { EnvironmentsModule } from '@devpocket/environments';
import { Module } from '@nestjs/common';
import { EventsGateway } from './events.gateway';
import { LogsGateway } from './logs.gateway';
import { SocketRegistry } from './socket-registry';
import { TerminalGateway } from './terminal.gateway';
import { TerminalSessionsService } from './terminal-sessions.service';
import { TerminalsController } from './terminals.controller';

@Module({
  imports: [EnvironmentsModule],
  controllers: [TerminalsController],
  providers: [TerminalSessionsService, SocketRegistry, TerminalGateway, LogsGateway, EventsGateway],
})
export class TerminalModule {}
