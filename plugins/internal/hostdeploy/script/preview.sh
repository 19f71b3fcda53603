# What a rollout would meet here. It is sent with the question, since only plans
# ask it.

# preview ROOT REVISION
preview() {
  at "$1"
  if foreign; then
    say "blocked $why"
    return 0
  fi
  preview_rights
  ! whole "$d/releases/$2" || say "whole"
  [ -n "$detached" ] || say "alone"
  command -v tar >/dev/null 2>&1 || say "lacks tar"
  f=$(df -Pk "$there" 2>/dev/null | tail -n 1)
  [ -z "$f" ] || say "df $f"
  preview_service
}

# preview_rights sets $there to what is here of the deployment's directory, and
# says which directory we would write in and may not.
preview_rights() {
  there=$d
  while [ ! -e "$there" ] && [ ! -L "$there" ]; do
    f=${there%/*}
    [ "$f" != "$there" ] || f=.
    there=${f:-/}
  done
  if [ ! -d "$there" ]; then
    say "blocked $there is not a directory"
    return
  fi
  for f in "$there" "$m" "$d/releases" "$d/shared"; do
    [ ! -d "$f" ] || { [ -w "$f" ] && [ -x "$f" ]; } || say "denied $(id -un) $f"
  done
}

# preview_service says which service runs, and by which rules it is stopped.
preview_service() {
  wanted= kind=
  read -r wanted kind 2>/dev/null <"$m/run/service"
  [ -n "$kind" ] || return 0
  running
  service_of "$wanted"
  say "service $wanted $kind"
  say "stop $svc_timeout $svc_signal"
  [ -z "$runs" ] || say "runs $runs"
}
