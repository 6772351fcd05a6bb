#!/usr/bin/env bash
# Starts a Docker engine of our own and builds the image in it. Needs root or sudo, and the locked
# environment. Leaves everything below build/ci/docker, for stop.sh to undo.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
state="$root/build/ci/docker"
image=${1:?the name of the image}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

explain() {
  echo "$1" >&2
  exit 1
}

as_root true 2>/dev/null || explain "neither root nor sudo without a password"
# sbin is not on everybody's path, and that is where Debian puts it.
PATH="$PATH:/usr/sbin:/sbin"
install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1" \
    >/dev/null || explain "$1 could not be installed"
}

if ! command -v dockerd >/dev/null; then
  as_root apt-get update -qq >/dev/null || explain "apt-get update failed"
  install docker.io
fi
# Newer Debian has the client in a package of its own, which docker.io only recommends.
command -v docker >/dev/null || install docker-cli

bash "$here/stop.sh"
mkdir -p "$state"
# No bridge and no firewall rules: nothing outside our directory changes, and it works where those
# are not allowed. Containers run on the host's network. vfs needs no kernel support.
as_root dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs \
  --host "unix://$state/docker.sock" --group "$(id -gn)" --pidfile "$state/docker.pid" \
  --data-root "$state/data" --exec-root "$state/exec" >"$state/dockerd.log" 2>&1 </dev/null &
export DOCKER_HOST="unix://$state/docker.sock"
for _ in $(seq 300); do
  docker version >/dev/null 2>&1 && break
  [ -n "$(jobs -r)" ] || break
  sleep 0.1
done
docker version >/dev/null 2>&1 ||
  explain "dockerd does not answer: $(grep -v level=info "$state/dockerd.log" | tail -n 1)"

"$root/.venv/bin/python" "$here/rootfs.py" |
  docker import \
    --change 'ENV PYTHONPATH=/application:/application/packages PYTHONUTF8=1' \
    --change 'ENV PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/application/libraries' \
    --change 'LABEL org.opencontainers.image.description="the embedded engine of this repository; not the image of AWS"' \
    --change 'EXPOSE 8083' \
    --change 'CMD ["/application/python", "/application/serve.py"]' \
    - "$image" >/dev/null || explain "the image could not be built"

# An engine may answer and still not be allowed to start a container.
docker run --rm --network host "$image" /application/python -c pass >/dev/null ||
  explain "no container starts on the engine"
