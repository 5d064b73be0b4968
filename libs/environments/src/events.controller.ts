import { AcceptsTicket, CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { ApiProblems } from '@devpocket/http';
import { Controller, Get, Headers, HttpStatus, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Request, type Response } from 'express';
import { EventsQuery, MOST_CURSOR_CHARACTERS } from './events.dto';
import { EventStreams } from './event-streams';

const DESCRIPTION =
  '`id:` is the cursor, `event:` the type, `data:` one JSON object. `Last-Event-ID` (or `after`) goes on behind it; what is older ' +
  'than 24 h or 1000 events is answered with `sync.reset` and its `reason`. Without a cursor only what is new. A comment comes ' +
  'every 15 s. The stream ends with its credential.';

@ApiTags('events')
@ApiProblems({
  401: ['token_missing', 'token_invalid', 'token_expired', 'session_revoked', 'ticket_invalid'],
  403: ['scope_missing'],
  422: ['validation_error'],
  429: ['rate_limited'],
  503: ['unavailable'],
})
@Controller('events')
export class EventsController {
  constructor(private readonly streams: EventStreams) {}

  @Get()
  @NeedsScope('env:read')
  @AcceptsTicket('events')
  @ApiOperation({
    operationId: 'streamEvents',
    summary: 'What happens to the environments of the caller, as server-sent events',
    description: DESCRIPTION,
  })
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    schema: { type: 'string', maxLength: MOST_CURSOR_CHARACTERS },
    description: 'The id of the last event that was read',
  })
  @ApiOkResponse({ description: 'The stream', content: { 'text/event-stream': { schema: { type: 'string' } } } })
  async stream(
    @CurrentPrincipal() principal: Principal,
    @Query() query: EventsQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const stream = await this.streams.begin(principal);
    response.writeHead(HttpStatus.OK, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    response.flushHeaders();
    if (request.method === 'HEAD') stream.end();
    // A browser that comes back sends the header, with the address of its first time.
    await stream.pump(response, [lastEventId, query.after].find(Boolean) ?? null);
  }
}
