# What is here.

# inspect ROOT LINES
inspect() {
  at "$1"
  if [ ! -d "$d" ]; then
    [ ! -e "$d" ] || say "blocked $d is not a directory"
    return 0
  fi
  if [ -d "$m" ] && [ ! -x "$m" ]; then
    fail denied "$m is not readable for $(id -un)"
    return
  fi
  if foreign; then
    say "blocked $why"
  elif [ -L "$d/current" ]; then
    say "current $(readlink "$d/current")"
  fi
  ours || return 0
  say "deployment"
  if [ -e "$m/owner" ]; then
    { read -r head_owner; read -r head_generation; } <"$m/owner"
    say "owner $head_owner"
    say "generation $head_generation"
  fi
  set --
  for r in "$d"/releases/*; do
    [ -d "$r" ] && [ ! -L "$r" ] || continue
    r=${r##*/}
    if whole "$d/releases/$r"; then
      say "release $r complete"
    else
      say "release $r incomplete"
    fi
    [ ! -r "$d/releases/$r/.delivery/revision.json" ] || set -- "$@" "$d/releases/$r/.delivery/revision.json"
  done
  [ $# -eq 0 ] || { say "revisions" && cat "$@"; }
  [ ! -e "$m/last_good" ] || { say "last_good" && cat "$m/last_good"; }
  [ ! -e "$m/ledger.jsonl" ] || { say "entries" && tail -n 40 "$m/ledger.jsonl"; }
  service_state
}

# whole DIR: a release that can run.
whole() {
  [ -e "$1/.delivery/complete" ] && [ -r "$1/.delivery/environment" ] && [ -r "$1/.delivery/service" ] && [ -r "$1/.delivery/revision.json" ]
}

# service_state says what should run, what does, and how it went.
service_state() {
  wanted= kind=
  read -r wanted kind 2>/dev/null <"$m/run/service"
  [ -n "$kind" ] || return 0
  say "service $wanted $kind"
  if [ "$kind" = commands ]; then
    commands_state
    return
  fi
  pid= born_at= runs= since=
  if read -r pid born_at runs 2>/dev/null <"$m/run/supervisor" && alive "$pid" "$born_at"; then
    say "supervisor $pid $runs"
  fi
  if read -r pid born_at since runs 2>/dev/null <"$m/run/child" && alive "$pid" "$born_at"; then
    say "child $pid $since $runs"
  fi
  if read -r f 2>/dev/null <"$m/run/exit"; then
    say "exit $f $(date +%s)"
  fi
}

# commands_state asks the user's own status command.
commands_state() {
  [ -r "$d/releases/$wanted/.delivery/service" ] || return 0
  service_of "$wanted"
  [ -n "$svc_status" ] || return 0
  if bounded 10 "$d/releases/$wanted" "$svc_status" >/dev/null; then
    say "up"
  else
    say "down $?"
  fi
}

# state ROOT: the service alone.
state() {
  at "$1"
  service_state
}

# history ROOT BYTES
history_tail() {
  at "$1"
  [ ! -e "$m/ledger.jsonl" ] || { say "entries" && tail -c "$2" "$m/ledger.jsonl"; }
  return 0
}

# log_tail ROOT REVISION LINES [SIZE]: the end of the log, and the secrets of all
# revisions, which must not be shown. Without those of REVISION there is no log.
log_tail() {
  at "$1"
  [ -r "$d/releases/$2/.delivery/environment" ] || return 0
  say "environment"
  for f in "$d"/releases/*/.delivery/environment; do
    LC_ALL=C sed -n '/^# secrets$/,$p' "$f"
  done
  [ -e "$m/log/service.log" ] || return 0
  [ -z "$4" ] || say "size $(($(wc -c <"$m/log/service.log")))"
  say "log"
  tail -n "$3" "$m/log/service.log"
}

# log_from ROOT REVISION OFFSET: what was written since.
log_from() {
  at "$1"
  [ -e "$m/log/service.log" ] || { say "size 0"; return 0; }
  size=$(($(wc -c <"$m/log/service.log")))
  from=$3
  [ "$from" -le "$size" ] || from=0
  [ $((size - from)) -le 262144 ] || from=$((size - 262144))
  say "size $size"
  [ "$from" -lt "$size" ] || return 0
  say "log"
  tail -c "+$((from + 1))" "$m/log/service.log" | head -c "$((size - from))"
}
