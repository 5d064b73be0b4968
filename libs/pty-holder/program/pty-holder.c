/*
 * Holds one shell under a PTY inside a container, so that it outlives the connection and the server that it is used through.
 *
 *   pty-holder open NAME OWNER COLS ROWS RING WINDOW PROGRAM [ARGUMENT…]   begins a shell, or attaches to the one of that name
 *   pty-holder attach NAME OWNER OFFSET WINDOW    attaches; output follows from OFFSET, or from what is kept
 *   pty-holder return NAME OWNER OFFSET WINDOW    the same, unless another OWNER has attached meanwhile
 *   pty-holder list                               a line for each shell: NAME CREATED COLS ROWS POSITION OVER KIND VALUE ENDED
 *   pty-holder check                              succeeds
 *
 * Attached, its standard input and output speak the frames described in ../src/frames.ts. The process that was run only hands them
 * to the holder, over a socket in the abstract namespace (which nobody can remove by accident), and waits; so bytes take no detour.
 * One connection at a time: a newer one takes over.
 *
 * No output is dropped before the other side has said that it consumed it: what does not fit into the ring stays with the program.
 */
#include "linux.h"

#define VERSION 1
#define PREFIX "devpocket-pty/"
#define REMEMBER_MS 600000 /* contract §6: an ended shell keeps tail and exit for 10 minutes */
#define QUIET_MS 100       /* silence after a shell's end that means that nothing more is coming … */
#define LINGER_MS 2000     /* … and how long programs in the background may hold that up */
#define KILL_MS 1000
#define GATHER_MS 2      /* the least between two small pieces of output: the first is sent at once … */
#define GATHER_MOST 4096 /* … and what is no longer small too */
#define TAKEN_MS 5 /* how long the word that input was taken waits for output to go with */
#define INPUT_MOST 65536   /* input on its way to the program; ../src/frames.ts keeps to it */
#define PIECE 32768
#define FRAME_HEAD 5
#define REQUEST 25
#define MARKS 64
#define ID_MOST 64

enum { NO_SUCH_SHELL = 3, NO_PTY = 4, USAGE = 64 };

static struct {
  u8 id[ID_MOST];
  u8 length;
  u64 seq, used;
} marks[MARKS];
static u64 uses;

/* The shell */
static int master, shell, listener, signals;
static u8 *ring;
static u64 ring_size, position, consumed;
static u16 cols, rows;
static u64 created, ended_date, ended_at, heard_at, kill_at, leave_at;
static int exit_kind, exit_value, reaped, over;
static u8 input[INPUT_MOST];
static u32 input_length;
static u64 accepted, taken, told_taken, taken_at;

/* The connection */
static int cin, cout, control; /* -1: nobody */
static u64 sent, sent_at, window, owner;
static u8 rx[FRAME_HEAD + 128 + PIECE];
static u32 rx_length;
static u8 tx[2 * PIECE];
static u32 tx_length, tx_at;
static int hello_due, exit_due, foreground_due;

static void say(const char *text) { sys_write(2, text, length_of(text)); }

static u64 number(const char *text) {
  u64 n = 0;
  for (; *text >= '0' && *text <= '9'; text++) n = n * 10 + (u64)(*text - '0');
  return n;
}

static u64 get(const u8 *from, int bytes) {
  u64 n = 0;
  while (bytes--) n = n << 8 | *from++;
  return n;
}

static void put(u64 value, int bytes) {
  while (bytes--) tx[tx_length++] = (u8)(value >> (8 * bytes));
}

static void head(u8 type, u32 length) {
  put(type, 1);
  put(length, 4);
}

static void decimal(u64 value, char *to, size *at) {
  char digits[20];
  int n = 0;
  do digits[n++] = (char)('0' + value % 10);
  while (value /= 10);
  while (n) to[(*at)++] = digits[--n];
}

static u64 ring_start(void) { return position > ring_size ? position - ring_size : 0; }

/* ---- the connection ---- */

static void drop_connection(void) {
  if (cin >= 0) sys_close(cin);
  if (cout >= 0) sys_close(cout);
  if (control >= 0) sys_close(control);
  cin = cout = control = -1;
  rx_length = tx_length = tx_at = 0;
}

static void hello(void) {
  u32 length = 2 + 4 + 6 * 8 + 4 + 2, count = 0;
  for (int i = 0; i < MARKS; i++)
    if (marks[i].used) {
      count++;
      length += 1 + marks[i].length + 8u;
    }
  head('h', length);
  put(VERSION, 1);
  put(over, 1);
  put((u32)shell, 4);
  put(created, 8);
  put(sent, 8);
  put(position, 8);
  put(accepted, 8);
  put(taken, 8);
  put(ring_size, 8);
  put(cols, 2);
  put(rows, 2);
  put(count, 2);
  for (int i = 0; i < MARKS; i++)
    if (marks[i].used) {
      put(marks[i].length, 1);
      for (u8 at = 0; at < marks[i].length; at++) put(marks[i].id[at], 1);
      put(marks[i].seq, 8);
    }
}

/* What is due next, into the empty transmission buffer: news first, output behind it, the end last. */
static void fill(void) {
  if (hello_due) {
    hello_due = 0;
    hello();
    return;
  }
  if (foreground_due) {
    int group = 0;
    int busy = master >= 0 && sys_ioctl(master, TIOCGPGRP, &group) == 0 && group != shell;
    foreground_due--;
    head('f', 1);
    put((u64)busy, 1);
  }
  u64 due = position - sent;
  /* An echo takes the word along that its key was taken. */
  if (told_taken != taken && (due || over || taken - told_taken >= INPUT_MOST / 4 || now_ms() >= taken_at + TAKEN_MS)) {
    told_taken = taken;
    head('a', 8);
    put(taken, 8);
  }
  /* What an ended shell has left is bounded and nobody's to slow. */
  u64 may = over ? due : consumed + window > sent ? consumed + window - sent : 0;
  if (due > may) due = may;
  if (due > PIECE) due = PIECE;
  if (due < GATHER_MOST && !over && now_ms() < sent_at + GATHER_MS) due = 0;
  if (due) {
    head('o', (u32)due);
    u64 at = sent % ring_size, first = ring_size - at < due ? ring_size - at : due;
    memcpy(tx + tx_length, ring + at, first);
    memcpy(tx + tx_length + first, ring, due - first);
    tx_length += (u32)due;
    sent += due;
    sent_at = now_ms();
  }
  if (over && exit_due && sent == position) {
    exit_due = 0;
    head('x', 10);
    put((u64)exit_kind, 1);
    put((u64)exit_value, 1);
    put(ended_date, 8);
  }
}

static void transmit(void) {
  while (cout >= 0) {
    if (tx_at == tx_length) {
      tx_at = tx_length = 0;
      fill();
      if (tx_length == 0) {
        if (over && !exit_due) drop_connection(); /* all is said */
        return;
      }
    }
    long n = sys_write(cout, tx + tx_at, tx_length - tx_at);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n < 0) return drop_connection();
    tx_at += (u32)n;
  }
}

static void tell_replaced(int fd) {
  static const u8 replaced[FRAME_HEAD] = {'r', 0, 0, 0, 0};
  sys_write(fd, replaced, sizeof replaced);
}

static void accept_connection(void) {
  int fd = (int)CALL(__NR_accept4, listener, 0, 0, SOCK_CLOEXEC, 0, 0);
  if (fd < 0) return;
  struct peer peer = {0, ~0u, 0};
  u32 length = sizeof peer;
  CALL(__NR_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &length, 0);
  /* Whoever connects says what it wants at once; nobody may hold up the shell by saying nothing. */
  struct pollfd ready = {fd, POLLIN, 0};
  u8 request[REQUEST] = {0};
  struct iovec iov = {request, sizeof request};
  struct two_fds fds = {0, 0, 0, {-1, -1}};
  struct msghdr message = {0, 0, &iov, 1, &fds, sizeof fds, 0};
  int asked = (peer.uid == sys_uid() || peer.uid == 0) && sys_poll(&ready, 1, 1000) == 1 &&
              CALL(__NR_recvmsg, fd, &message, MSG_CMSG_CLOEXEC, 0, 0, 0) == sizeof request;
  int handed = fds.level == SOL_SOCKET && fds.type == SCM_RIGHTS && fds.length == sizeof fds;
  if (asked && request[0] == 'l') {
    u64 values[] = {created, cols, rows, position, (u64)over, (u64)exit_kind, (u64)exit_value, ended_date};
    char line[8 * 21];
    size at = 0;
    for (int i = 0; i < 8; i++) {
      decimal(values[i], line, &at);
      line[at++] = i < 7 ? ' ' : '\n';
    }
    CALL(__NR_sendto, fd, line, at, MSG_NOSIGNAL, 0, 0);
  }
  u64 from = get(request + 17, 8);
  int returns = request[0] == 'r', taken_over = returns && from != owner, attaches = asked && handed && (returns || request[0] == 'a');
  if (attaches && taken_over) tell_replaced(fds.fds[1]);
  if (!attaches || taken_over) {
    sys_close(fds.fds[0]);
    sys_close(fds.fds[1]);
    sys_close(fd);
    return;
  }
  if (cout >= 0 && tx_at == tx_length) tell_replaced(cout);
  drop_connection();
  control = fd;
  cin = fds.fds[0];
  cout = fds.fds[1];
  sys_fcntl(cin, F_SETFL, O_NONBLOCK);
  sys_fcntl(cout, F_SETFL, O_NONBLOCK | O_WRONLY);
  u64 wanted = get(request + 1, 8);
  window = get(request + 9, 8);
  owner = from;
  sent = wanted < ring_start() ? ring_start() : wanted > position ? position : wanted;
  consumed = sent; /* What follows is kept until this connection has consumed it, though an earlier one had. */
  told_taken = taken;
  hello_due = exit_due = 1;
  foreground_due = 0;
}

/* ---- input ---- */

/* Of too many clients the one whose input is longest ago is forgotten. */
static u64 *mark_of(const u8 *id, u8 length) {
  int oldest = 0;
  for (int i = 0; i < MARKS; i++) {
    if (marks[i].used && marks[i].length == length && same(marks[i].id, id, length)) {
      marks[i].used = ++uses;
      return &marks[i].seq;
    }
    if (marks[i].used < marks[oldest].used) oldest = i;
  }
  memcpy(marks[oldest].id, id, length);
  marks[oldest].length = length;
  marks[oldest].seq = 0;
  marks[oldest].used = ++uses;
  return &marks[oldest].seq;
}

static void feed(void) {
  while (input_length && master >= 0) {
    long n = sys_write(master, input, input_length);
    if (n <= 0) return;
    if (told_taken == taken) taken_at = now_ms();
    taken += (u64)n;
    input_length -= (u32)n;
    memmove(input, input + n, input_length);
  }
}

static void hang_up(void) {
  if (reaped || kill_at) return;
  kill_at = now_ms() + KILL_MS;
  int group = 0;
  if (master >= 0 && sys_ioctl(master, TIOCGPGRP, &group) == 0 && group > 1 && group != shell) {
    sys_kill(-group, SIGHUP);
    sys_kill(-group, SIGCONT);
  }
  sys_kill(-shell, SIGHUP);
  sys_kill(-shell, SIGCONT);
}

/* False: the other side breaks the rules. */
static int input_frame(const u8 *body, u32 length) {
  if (length < 17 || body[16] > ID_MOST || length < 17u + body[16]) return 0;
  if (over) return 1; /* nobody takes it: the exit is on its way */
  u64 link = get(body, 8), seq = get(body + 8, 8);
  u8 id_length = body[16];
  const u8 *id = body + 17, *bytes = id + id_length;
  u64 n = length - 17u - id_length;
  if (link > accepted) return 0;
  if (link + n <= accepted) return 1;
  u64 known = accepted - link;
  bytes += known;
  n -= known;
  if (n > INPUT_MOST - input_length) return 0;
  accepted += n;
  if (id_length) {
    u64 *mark = mark_of(id, id_length);
    u64 before = seq - n; /* where these bytes begin */
    u64 skip = *mark > before ? *mark - before : 0;
    if (skip > n) skip = n;
    if (seq > *mark) *mark = seq;
    if (told_taken == taken) taken_at = now_ms();
    taken += skip;
    bytes += skip;
    n -= skip;
  }
  memcpy(input + input_length, bytes, n);
  input_length += (u32)n;
  feed();
  return 1;
}

static int take_frame(u8 type, const u8 *body, u32 length) {
  switch (type) {
    case 'i':
      return input_frame(body, length);
    case 'c':
      if (length != 8) return 0;
      u64 upto = get(body, 8);
      if (upto > sent) return 0;
      if (upto > consumed) consumed = upto;
      return 1;
    case 's':
      if (length != 4) return 0;
      struct winsize wanted = {(u16)get(body + 2, 2), (u16)get(body, 2), 0, 0};
      if (wanted.ws_col == cols && wanted.ws_row == rows) return 1;
      cols = wanted.ws_col;
      rows = wanted.ws_row;
      if (master >= 0) sys_ioctl(master, TIOCSWINSZ, &wanted);
      return 1;
    case 'k':
      hang_up();
      return 1;
    case 'f':
      if (foreground_due < 16) foreground_due++;
      return 1;
    default:
      return 0;
  }
}

static void receive(void) {
  long n = sys_read(cin, rx + rx_length, sizeof rx - rx_length);
  if (n == -EAGAIN || n == -EINTR) return;
  if (n <= 0) return drop_connection();
  rx_length += (u32)n;
  u32 at = 0;
  while (rx_length - at >= FRAME_HEAD) {
    u64 length = get(rx + at + 1, 4);
    if (length > sizeof rx - FRAME_HEAD) return drop_connection();
    if (rx_length - at < FRAME_HEAD + length) break;
    if (!take_frame(rx[at], rx + at + FRAME_HEAD, (u32)length)) return drop_connection();
    at += FRAME_HEAD + (u32)length;
  }
  rx_length -= at;
  memmove(rx, rx + at, rx_length);
}

/* ---- the shell's output and end ---- */

/* With nobody attached output is kept until the ring is full of what nobody has consumed; with somebody, to their window. */
static int may_read(void) {
  u64 most = cout >= 0 && !reaped && window < ring_size ? window : ring_size;
  return master >= 0 && position - consumed < most;
}

static void finish(void) {
  if (over) return;
  over = 1;
  ended_at = now_ms();
  ended_date = date_ms();
  input_length = 0;
  if (master >= 0) sys_close(master);
  master = -1;
}

static void read_output(void) {
  for (int round = 0; round < 16 && may_read(); round++) {
    u64 at = position % ring_size, room = ring_size - at, free = ring_size - (position - consumed);
    if (room > free) room = free;
    long n = sys_read(master, ring + at, room < PIECE ? room : PIECE);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n <= 0) { /* EIO: the last program has left (pty(7)) */
      sys_close(master);
      master = -1;
      return;
    }
    position += (u64)n;
    heard_at = now_ms();
  }
}

static void heed_signals(void) {
  struct signalfd_siginfo info;
  while (sys_read(signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGTERM) continue;
    leave_at = now_ms() + LINGER_MS;
    hang_up();
  }
  int status, pid;
  while ((pid = (int)sys_wait(-1, &status)) > 0) {
    if (pid != shell) continue;
    reaped = 1;
    ended_at = heard_at = now_ms();
    exit_kind = (status & 0x7f) != 0;
    exit_value = exit_kind ? status & 0x7f : status >> 8 & 0xff;
    kill_at = 0;
  }
}

/* Returns how long nothing needs to be done, in ms; below 0 for ever. */
static i64 tend(void) {
  u64 now = now_ms();
  i64 wait = -1;
#define AT(moment) \
  if (wait < 0 || (i64)((moment) - now) < wait) wait = (moment) > now ? (i64)((moment) - now) : 0
  if (kill_at) {
    if (now >= kill_at) {
      kill_at = now + KILL_MS;
      sys_kill(-shell, SIGKILL);
    }
    AT(kill_at);
  }
  if (reaped && !over) {
    int blocked = master >= 0 && !may_read();
    if (master < 0 || (!blocked && (now >= heard_at + QUIET_MS || now >= ended_at + LINGER_MS))) finish();
    else if (!blocked) AT(heard_at + QUIET_MS);
  }
  if (cout >= 0 && tx_at == tx_length) { /* else there is no room for news */
    if (told_taken != taken) AT(taken_at + TAKEN_MS);
    if (sent != position && sent < consumed + window) AT(sent_at + GATHER_MS);
  }
  if (over) {
    if (now >= ended_at + REMEMBER_MS) quit(0);
    AT(ended_at + REMEMBER_MS);
  }
  if (leave_at) {
    if (now >= leave_at) quit(0);
    AT(leave_at);
  }
  return wait;
}

static void hold(void) {
  for (;;) {
    i64 wait = tend();
    transmit();
    if (leave_at && over && cout < 0) quit(0); /* all is said */
    struct pollfd fds[] = {
        {signals, POLLIN, 0},
        {listener, POLLIN, 0},
        {master, (short)((may_read() ? POLLIN : 0) | (input_length ? POLLOUT : 0)), 0},
        {cin, POLLIN, 0},
        {tx_at < tx_length ? cout : -1, POLLOUT, 0},
        {control, POLLIN, 0},
    };
    /* A hung-up master is always ready: where nothing is wanted of it, it is left out. */
    if (fds[2].events == 0) fds[2].fd = -1;
    if (sys_poll(fds, 6, wait) < 0) continue;
    if (fds[0].revents) heed_signals();
    if (fds[2].revents & POLLHUP) input_length = 0; /* the last program has left */
    if (fds[2].revents & POLLOUT) feed();
    if (fds[2].revents & (POLLIN | POLLHUP | POLLERR)) read_output();
    if (cin >= 0 && fds[3].revents) receive();
    if (control >= 0 && fds[5].revents) drop_connection(); /* who handed us the streams has ended */
    if (fds[1].revents) accept_connection();
  }
}

/* ---- beginnings ---- */

static u32 address(struct sockaddr_un *to, const char *name, size length) {
  size prefix = sizeof PREFIX - 1;
  if (length == 0 || prefix + length > sizeof to->sun_path - 1) {
    say("pty-holder: the name is empty or too long\n");
    quit(USAGE);
  }
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  memcpy(to->sun_path + 1, PREFIX, prefix);
  memcpy(to->sun_path + 1 + prefix, name, length);
  return (u32)(sizeof to->sun_family + 1 + prefix + length);
}

static int join(const char *name, size length) {
  struct sockaddr_un to;
  u32 to_length = address(&to, name, length);
  int fd = (int)sys_socket();
  if (CALL(__NR_connect, fd, &to, to_length, 0, 0, 0) == 0) return fd;
  sys_close(fd);
  return -1;
}

static void attach(u8 how, const char *name, u64 offset, u64 wanted_window, u64 wanted_owner) {
  int fd = join(name, length_of(name));
  if (fd < 0) {
    say("pty-holder: there is no such shell\n");
    quit(NO_SUCH_SHELL);
  }
  u8 request[REQUEST] = {how};
  for (int i = 0; i < 8; i++) {
    request[1 + i] = (u8)(offset >> (56 - 8 * i));
    request[9 + i] = (u8)(wanted_window >> (56 - 8 * i));
    request[17 + i] = (u8)(wanted_owner >> (56 - 8 * i));
  }
  struct iovec iov = {request, sizeof request};
  struct two_fds fds = {sizeof fds, SOL_SOCKET, SCM_RIGHTS, {0, 1}};
  struct msghdr message = {0, 0, &iov, 1, &fds, sizeof fds, 0};
  CALL(__NR_sendmsg, fd, &message, MSG_NOSIGNAL, 0, 0, 0);
  sys_close(0);
  sys_close(1);
  u8 byte;
  while (sys_read(fd, &byte, 1) == -EINTR) continue;
  quit(0);
}

static void run_shell(int slave, char **args, char **env) {
  sys_setsid();
  sys_ioctl(slave, TIOCSCTTY, 0);
  for (int fd = 0; fd < 3; fd++) sys_dup(slave, fd);
  static const int reset[] = {SIGHUP, SIGPIPE, SIGINT, SIGQUIT};
  for (int i = 0; i < 4; i++) on_signal(reset[i], SIG_DFL);
  mask_signals(0);
  sys_exec(args[0], args, env);
  say("The shell could not be started\n");
  quit(127);
}

static int open_pty(void) {
  int unlock = 0, index = 0;
  char path[32] = "/dev/pts/";
  size at = 9;
  struct winsize wanted = {rows, cols, 0, 0};
  master = (int)sys_open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master >= 0 && sys_ioctl(master, TIOCSPTLCK, &unlock) == 0 && sys_ioctl(master, TIOCGPTN, &index) == 0) {
    decimal((u64)index, path, &at);
    int slave = (int)sys_open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    sys_ioctl(master, TIOCSWINSZ, &wanted);
    if (slave >= 0) return slave;
  }
  say("pty-holder: the container gives no PTY\n");
  quit(NO_PTY);
  return -1;
}

static void no_process(void) {
  say("pty-holder: the container takes no more processes\n");
  quit(NO_PTY);
}

static void open_shell(int argc, char **argv, char **env) {
  const char *name = argv[2];
  struct sockaddr_un own;
  u32 own_length = address(&own, name, length_of(name));
  listener = (int)sys_socket();
  u64 wanted_window = number(argv[7]), wanted_owner = number(argv[3]);
  if (CALL(__NR_bind, listener, &own, own_length, 0, 0, 0) < 0) attach('a', name, 0, wanted_window, wanted_owner);
  CALL(__NR_listen, listener, 16, 0, 0, 0, 0);
  cols = (u16)number(argv[4]);
  rows = (u16)number(argv[5]);
  ring_size = number(argv[6]);
  long memory = CALL(__NR_mmap, 0, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory < 0 && memory > -4096) {
    say("pty-holder: there is no memory for the output\n");
    quit(NO_PTY);
  }
  ring = (u8 *)memory;
  int slave = open_pty();
  long holder = sys_fork(); /* from here on it is on its own */
  if (holder < 0) no_process();
  if (holder > 0) {
    sys_close(listener);
    attach('a', name, 0, wanted_window, wanted_owner);
  }
  sys_setsid();
  static const int ignored[] = {SIGHUP, SIGPIPE, SIGINT, SIGQUIT};
  for (int i = 0; i < 4; i++) on_signal(ignored[i], SIG_IGN);
  u64 heeded = 1ull << (SIGCHLD - 1) | 1ull << (SIGTERM - 1);
  mask_signals(heeded);
  signals = (int)CALL(__NR_signalfd4, -1, &heeded, 8, O_NONBLOCK | O_CLOEXEC, 0, 0);
  created = date_ms();
  shell = (int)sys_fork();
  if (shell < 0) no_process();
  if (shell == 0) run_shell(slave, argv + 8, env);
  sys_close(slave);
  int nothing = (int)sys_open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) sys_dup(nothing, fd);
  (void)argc;
  hold();
}

/* Lines of /proc/net/unix end with the name; that of an abstract socket begins with "@". A connection bears its listener's name. */
static void list(void) {
  static char text[65536];
  static const char mark[] = "@" PREFIX;
  int fd = (int)sys_open("/proc/net/unix", O_RDONLY);
  size kept = 0;
  for (long n; (n = sys_read(fd, text + kept, sizeof text - kept)) > 0;) {
    size end = kept + (size)n, line = 0;
    for (size at = 0; at < end; at++) {
      if (text[at] != '\n') continue;
      size since = line, name = at, prefix = sizeof mark - 1;
      while (name > since && text[name - 1] != ' ') name--;
      size length = at - name;
      line = at + 1;
      size flags = since; /* proc(5): Num RefCount Protocol Flags … */
      for (int fields = 0; fields < 3 && flags < name; flags++) fields += text[flags] == ' ';
      if (length <= prefix || !same(text + name, mark, prefix) || !same(text + flags, "00010000", 8)) continue;
      int holder = join(text + name + prefix, length - prefix);
      if (holder < 0) continue; /* just ending */
      u8 request[REQUEST] = {'l'}, answer[256];
      struct pollfd ready = {holder, POLLIN, 0};
      CALL(__NR_sendto, holder, request, sizeof request, MSG_NOSIGNAL, 0, 0);
      long got = sys_poll(&ready, 1, 1000) == 1 ? sys_read(holder, answer, sizeof answer) : 0;
      sys_close(holder);
      if (got <= 0) continue;
      sys_write(1, text + name + prefix, length - prefix);
      sys_write(1, " ", 1);
      sys_write(1, answer, (size)got);
    }
    kept = end - line;
    if (kept == sizeof text) kept = 0;
    memmove(text, text + line, kept);
  }
  quit(0);
}

static int is(const char *a, const char *b) { return length_of(a) == length_of(b) && same(a, b, length_of(a)); }

__attribute__((used)) void begin(long *stack) {
  int argc = (int)stack[0];
  cin = cout = control = -1; /* not where they are declared: without initialised data a binary has one part, without padding */
  char **argv = (char **)(stack + 1), **env = argv + argc + 1;
  if (argc >= 9 && is(argv[1], "open")) open_shell(argc, argv, env);
  if (argc == 6 && (is(argv[1], "attach") || is(argv[1], "return")))
    attach((u8)argv[1][0], argv[2], number(argv[4]), number(argv[5]), number(argv[3]));
  if (argc == 2 && is(argv[1], "list")) list();
  if (argc == 2 && is(argv[1], "check")) quit(0);
  say("usage: pty-holder open NAME OWNER COLS ROWS RING WINDOW PROGRAM [ARGUMENT...] | attach|return NAME OWNER OFFSET WINDOW | list\n");
  quit(USAGE);
}

/* Ties a binary to the text it was made of: ../src/program.spec.ts compares. */
__attribute__((used)) static const char source[] = "source " SOURCE;
