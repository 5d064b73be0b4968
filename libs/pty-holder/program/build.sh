#!/bin/sh
# Builds the holder for both kinds of machine and writes ../src/binaries.ts. Debian: gcc and gcc-aarch64-linux-gnu, on x86-64.
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
source=$(cat linux.h pty-holder.c | sha256sum | cut -c1-32)
for arch in x86_64 aarch64; do
  "$arch-linux-gnu-gcc" -Os -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fno-tree-loop-distribute-patterns -fno-pie -no-pie -static -nostdlib \
    -Wl,--build-id=none -Wl,-s -Wl,-z,noexecstack -Wl,-z,noseparate-code -DSOURCE="\"$source\"" -o "$out/$arch" pty-holder.c
  "$arch-linux-gnu-objcopy" --remove-section=.comment --remove-section=.note.gnu.property "$out/$arch" 2>/dev/null || true
done
{
  echo '// Made by ../program/build.sh.'
  echo
  echo '/** The first half of the SHA-256, in hex, of linux.h and pty-holder.c. */'
  echo "export const SOURCE = '$source';"
  echo
  echo '/** Static Linux programs, base64, by what `uname -m` says. */'
  echo 'export const BINARIES: Readonly<Record<string, string>> = {'
  for arch in x86_64 aarch64; do echo "  $arch: '$(base64 -w0 "$out/$arch")',"; done
  echo '};'
} >../src/binaries.ts
ls -l "$out" | awk 'NR > 1 { print $9, $5, "bytes" }'
