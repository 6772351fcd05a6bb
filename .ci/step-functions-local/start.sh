# shellcheck shell=bash
# Sourced by CI: offers Step Functions Local through a Docker engine to the commands after it, by
# the variables that tests/statemachines/engines.py reads. Never ends CI: where the engine cannot
# start, that is said loudly and the embedded engine stands alone.
_sfn_local_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || _sfn_local_here=.ci/step-functions-local
_sfn_local_image=governed-path/step-functions-local:built-here
if _sfn_local_reason=$(bash "$_sfn_local_here/up.sh" "$_sfn_local_image" 2>&1 >/dev/null); then
  export DOCKER_HOST="unix://${_sfn_local_here%/.ci/*}/build/ci/docker/docker.sock"
  export SFN_LOCAL_IMAGE="$_sfn_local_image"
  export GP_SFN_DOCKER_NETWORK=host
  # From here on an engine that cannot be used is a failure and no longer a reason to skip.
  export GP_SFN_ENGINE=both
  export TESTCONTAINERS_RYUK_DISABLED=true
  echo "Step Functions Local: $SFN_LOCAL_IMAGE at $DOCKER_HOST"
else
  bash "$_sfn_local_here/stop.sh" || true
  # The last line is the reason; what comes before it is how it came to that.
  printf '%s\n' "$_sfn_local_reason" \
    '################################################################################' \
    "STEP FUNCTIONS LOCAL WAS NOT PROVEN: ${_sfn_local_reason##*$'\n'}" \
    '################################################################################' >&2
fi
unset _sfn_local_here _sfn_local_image _sfn_local_reason
