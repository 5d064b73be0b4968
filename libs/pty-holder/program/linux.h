/*
 * The few system calls that the holder needs, without a C library: it runs in images of any kind, and stays a few KiB.
 * Numbers and structures are the kernel's own (UAPI headers).
 */
#pragma once
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/termios.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/un.h>
#include <linux/wait.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef unsigned long size;

#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOCK_CLOEXEC 02000000
#define SOL_SOCKET 1
#define SO_PEERCRED 17
#define SCM_RIGHTS 1
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000

#if defined(__x86_64__)
static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n hlt\n");
#elif defined(__aarch64__)
static inline long call6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl begin\n brk #0\n");
#else
#error "x86-64 and 64-bit ARM only"
#endif
#define CALL(n, a, b, c, d, e, f) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

struct iovec {
  void *base;
  size length;
};
struct msghdr {
  void *name;
  u32 name_length;
  struct iovec *iov;
  size iov_length;
  void *control;
  size control_length;
  u32 flags;
};
/* A control message that holds two descriptors. */
struct two_fds {
  size length;
  int level, type;
  int fds[2];
};
struct peer {
  u32 pid, uid, gid;
};

static inline void quit(int code) {
  for (;;) CALL(__NR_exit_group, code, 0, 0, 0, 0, 0);
}
static inline long sys_read(int fd, void *to, size n) { return CALL(__NR_read, fd, to, n, 0, 0, 0); }
static inline long sys_write(int fd, const void *from, size n) { return CALL(__NR_write, fd, from, n, 0, 0, 0); }
static inline long sys_open(const char *path, int flags) { return CALL(__NR_openat, AT_FDCWD, path, flags, 0, 0, 0); }
static inline long sys_close(int fd) { return CALL(__NR_close, fd, 0, 0, 0, 0, 0); }
static inline long sys_ioctl(int fd, u32 what, void *arg) { return CALL(__NR_ioctl, fd, what, arg, 0, 0, 0); }
static inline long sys_dup(int from, int to) { return CALL(__NR_dup3, from, to, 0, 0, 0, 0); }
static inline long sys_fork(void) { return CALL(__NR_clone, SIGCHLD, 0, 0, 0, 0, 0); }
static inline long sys_setsid(void) { return CALL(__NR_setsid, 0, 0, 0, 0, 0, 0); }
static inline long sys_exec(const char *path, char **args, char **env) { return CALL(__NR_execve, path, args, env, 0, 0, 0); }
static inline long sys_kill(int pid, int signal) { return CALL(__NR_kill, pid, signal, 0, 0, 0, 0); }
static inline long sys_wait(int pid, int *status) { return CALL(__NR_wait4, pid, status, WNOHANG, 0, 0, 0); }
static inline u32 sys_uid(void) { return (u32)CALL(__NR_geteuid, 0, 0, 0, 0, 0, 0); }
static inline long sys_socket(void) { return CALL(__NR_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0); }
static inline long sys_fcntl(int fd, int what, long arg) { return CALL(__NR_fcntl, fd, what, arg, 0, 0, 0); }
static inline long sys_poll(struct pollfd *fds, u32 n, i64 ms) {
  struct { i64 s, ns; } limit = {ms / 1000, ms % 1000 * 1000000};
  return CALL(__NR_ppoll, fds, n, ms < 0 ? 0 : &limit, 0, 8, 0);
}
static inline u64 clock_ms(int which) {
  struct { i64 s, ns; } now;
  CALL(__NR_clock_gettime, which, &now, 0, 0, 0, 0);
  return (u64)now.s * 1000 + (u64)now.ns / 1000000;
}
static inline u64 now_ms(void) { return clock_ms(CLOCK_MONOTONIC); }
static inline u64 date_ms(void) { return clock_ms(CLOCK_REALTIME); }

/* The kernel's own structure, which needs no library's trampoline where no handler is set. */
static inline void on_signal(int signal, void *handler) {
  struct { void *handler; u64 flags; void *restorer; u64 mask; } action = {handler, 0, 0, 0};
  CALL(__NR_rt_sigaction, signal, &action, 0, 8, 0, 0);
}
static inline void mask_signals(u64 mask) { CALL(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8, 0, 0); }

/* The compiler calls these by name. */
void *memcpy(void *to, const void *from, size n) {
  u8 *t = to;
  const u8 *f = from;
#if defined(__x86_64__)
  __asm__ volatile("rep movsb" : "+D"(t), "+S"(f), "+c"(n) : : "memory");
#else
  for (; n >= 8; n -= 8, t += 8, f += 8) __builtin_memcpy(t, f, 8);
  while (n--) *t++ = *f++;
#endif
  return to;
}
void *memset(void *to, int value, size n) {
  volatile u8 *t = to;
  while (n--) *t++ = (u8)value;
  return to;
}
void *memmove(void *to, const void *from, size n) {
  u8 *t = to;
  const u8 *f = from;
  if (t <= f || t >= f + n) return memcpy(to, from, n);
  while (n--) t[n] = f[n];
  return to;
}
static inline size length_of(const char *text) {
  size n = 0;
  while (text[n]) n++;
  return n;
}
static inline int same(const void *a, const void *b, size n) {
  const u8 *x = a, *y = b;
  while (n--)
    if (*x++ != *y++) return 0;
  return 1;
}
