import { EventFeed, toEventMessage } from '@devpocket/environments';
import { type EdgeSocket, toDomainError } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { FrameIntake } from '@devpocket/terminal-session';
import { Logger } from '@nestjs/common';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { SocketRegistry } from './socket-registry';
import { answer, closeWith, send } from './stream-socket';

/** Sockets on the events of all environments of a user: what `GET /events` tells, as frames. */
@WebSocketGateway({ path: '/api/v1/ws/events' })
export class EventsGateway implements OnGatewayConnection<EdgeSocket> {
  private readonly logger = new Logger('EventsSocket');

  constructor(
    private readonly feed: EventFeed,
    private readonly registry: SocketRegistry,
    private readonly clock: Clock,
  ) {}

  handleConnection(edge: EdgeSocket): void {
    edge.socket.pause();
    this.stream(edge, this.registry.add(edge)).catch((thrown: unknown) => this.refuse(edge, thrown));
  }

  private async stream(edge: EdgeSocket, entry: ReturnType<SocketRegistry['add']>): Promise<void> {
    const { socket, principal, query } = edge;
    if (!(await this.registry.admit(entry, false))) return;
    const ended = new AbortController();
    socket.on('close', () => ended.abort());
    const intake = new FrameIntake(socket, this.clock);
    const renew = (token: string): Promise<boolean> => this.registry.renew(entry, token);
    intake.begin(
      (data, isBinary) => intake.during('all', answer(socket, data, isBinary, renew)),
      (error) => this.refuse(edge, error),
    );
    for await (const item of this.feed.follow(principal.userId, query.get('after') || null, ended.signal)) {
      if (item.type === 'event' || item.type === 'reset') await send(socket, toEventMessage(item));
    }
  }

  private refuse({ socket }: EdgeSocket, thrown: unknown): void {
    const error = toDomainError(thrown, false);
    if (error.kind === 'internal') this.logger.warn({ err: error.cause ?? error }, 'A socket on events broke off');
    closeWith(socket, error);
  }
}
