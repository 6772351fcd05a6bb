#!/usr/bin/env bash
# Ends the Docker engine that up.sh started, and no other, and removes what it left behind.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
state="$root/build/ci/docker"
[ -d "$state" ] || exit 0

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# A process id is used again: it is ours only while its command names our directory.
ours() {
  tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- " $state/"
}

# dockerd ends its containers and its containerd before itself, unless it was killed.
for file in "$state/docker.pid" "$state/exec/containerd/containerd.pid"; do
  pid=$(as_root cat "$file" 2>/dev/null || true)
  if [ -n "$pid" ] && ours "$pid"; then
    as_root kill -TERM "$pid"
    for _ in $(seq 300); do
      ours "$pid" || break
      sleep 0.1
    done
    ! ours "$pid" || as_root kill -KILL "$pid"
  fi
done
# Deepest first.
awk -v state="$state/" 'index($5, state) == 1 {print $5}' /proc/self/mountinfo | sort -r |
  while IFS= read -r mount; do as_root umount -l "$mount"; done
as_root rm -rf "$state"
