# Switching: stop what runs, move the link, start what should run.

# service_of REVISION reads how a revision's service is run.
service_of() {
  svc_kind=none svc_signal=TERM svc_timeout=10 svc_start= svc_stop= svc_restart= svc_status=
  [ -r "$d/releases/$1/.delivery/service" ] && . "$d/releases/$1/.delivery/service"
}

# activate ROOT N OWNER ADOPT REVISION
activate() {
  at "$1"
  usable && owned "$3" "$4" || return
  whole "$d/releases/$5" || { fail missing "revision $5 is not here, or is damaged"; return; }
  busy || return
  fence "$2" && switch "$5"
  code=$?
  idle
  return "$code"
}

switch() {
  rev=$1
  linked=
  [ ! -L "$d/current" ] || linked=$(readlink "$d/current")
  wanted= kind=
  read -r wanted kind 2>/dev/null <"$m/run/service"
  running
  service_of "$rev"
  if [ "$linked" = "releases/$rev" ]; then
    case $svc_kind in
    none) [ -n "$kind" ] || return 0 ;;
    supervised) [ "$runs" != "$rev" ] || return 0 ;;
    commands)
      if [ "$wanted $kind" = "$rev commands" ] && [ -n "$svc_status" ] && bounded 30 "$d/releases/$rev" "$svc_status" >/dev/null; then
        return 0
      fi
      ;;
    esac
  fi
  say "changed"
  if [ "$svc_kind" = supervised ]; then
    if [ "$runs" = "$rev" ]; then
      point "$rev"
      return
    fi
    [ -n "$detached" ] || { fail unsupported "this host has neither setsid nor perl, one of which the service needs"; return; }
  fi
  if [ "$svc_kind" = commands ] && [ "$kind" = commands ] && [ -n "$svc_restart" ]; then
    plan "$rev" && turn && remember && by_command restart "$svc_restart"
    return
  fi
  plan "$rev" || return
  stop_service
  turn || return
  service_of "$rev"
  remember || return
  case $svc_kind in
  supervised) start_supervised ;;
  commands) by_command start "$svc_start" ;;
  esac
}

# plan REVISION writes what a switch needs while the old revision still runs, as
# a full disk is found out then and not in between.
plan() {
  ready "$1" || return
  put "$m/run/next" "$1 $svc_kind" || {
    rm -f "$m/current.$$"
    fail failed "cannot write in $m/run"
  }
}

# remember makes what was planned what should run.
remember() {
  if [ "$svc_kind" = none ]; then
    rm -f "$m/run/service" "$m/run/next"
    return
  fi
  mv -f "$m/run/next" "$m/run/service" || fail failed "cannot write in $m/run"
}

# running sets $runs to the revision that a supervised process runs in good
# order: under its supervisor.
running() {
  runs= pid= born_at= since= f=
  read -r pid born_at f 2>/dev/null <"$m/run/supervisor" && alive "$pid" "$born_at" || return 0
  read -r pid born_at since f 2>/dev/null <"$m/run/child" && alive "$pid" "$born_at" || return 0
  runs=$f
}

# point REVISION renames a new link over current: ready makes it, turn renames it.
point() {
  ready "$1" && turn
}

ready() {
  [ ! -L "$m/current.$$" ] || rm -f "$m/current.$$"
  ln -s "releases/$1" "$m/current.$$" || fail failed "cannot write in $m"
}

turn() {
  mv -Tf "$m/current.$$" "$d/current" 2>/dev/null ||
    mv -hf "$m/current.$$" "$d/current" 2>/dev/null ||
    perl -e 'rename($ARGV[0],$ARGV[1])||exit 1' "$m/current.$$" "$d/current" 2>/dev/null || {
    rm -f "$m/current.$$"
    fail failed "cannot rename a link over $d/current"
  }
}

# by_command WHAT COMMAND runs one of the user's commands. What it leaves behind
# is the service.
by_command() {
  spare=1
  printf '%s\n' "delivery: starting revision $rev" >>"$m/log/service.log"
  bounded 120 "$d/releases/$rev" "$2" >>"$m/log/service.log"
  code=$?
  spare=
  [ "$code" -ne 0 ] || return 0
  tail -n 50 "$m/log/service.log"
  fail command "$1 $code $late"
}

# stop_service ends what runs, by the rules of the revision that runs.
stop_service() {
  wanted= kind=
  read -r wanted kind 2>/dev/null <"$m/run/service"
  [ -n "$kind" ] || return 0
  service_of "$wanted"
  if [ "$kind" = commands ]; then
    [ -z "$svc_stop" ] || bounded "$svc_timeout" "$d/releases/$wanted" "$svc_stop" || say "warning the stop command of revision $wanted ended with status $?"
    return 0
  fi
  pid= born_at= f=
  if read -r pid born_at f 2>/dev/null <"$m/run/supervisor" && alive "$pid" "$born_at"; then
    end_group "$pid" KILL
    until_gone 10 alive "$pid" "$born_at"
  fi
  pid= born_at= since= f=
  read -r pid born_at since f 2>/dev/null <"$m/run/child" || return 0
  if alive "$pid" "$born_at"; then
    end_group "$pid" "$svc_signal"
    if ! until_gone "$svc_timeout" group_alive "$pid"; then
      end_group "$pid" KILL
      until_gone 10 group_alive "$pid"
      say "warning revision $f did not stop within $svc_timeout s and was killed"
    fi
  else
    end_group "$pid" KILL "$born_at"
  fi
  return 0
}

# group_alive PID: a process of the group lives. Zombies do not.
group_alive() {
  kill -0 $group "-$1" 2>/dev/null || return 1
  started "$1" && return 0
  [ -r /proc/self/stat ] || return 0
  leader=$1
  for f in /proc/[0-9]*; do
    IFS= read -r stat 2>/dev/null <"$f/stat" || continue
    stat=${stat##*) }
    set -- $stat
    [ "$3" != "$leader" ] || [ "$1" = Z ] || return 0
  done
  return 1
}

start_supervised() {
  set -- "$m/run/supervisor" "$m/run/child" "$m/run/exit"
  for f in "$@"; do
    [ ! -e "$f" ] || {
      rm -f "$@"
      break
    }
  done
  $detached /bin/sh "$d/releases/$rev/.delivery/supervise" "$d" "$rev" </dev/null >>"$m/log/service.log" 2>&1 3<&-
  until_gone 10 not_yet || fail failed "the supervisor of the service did not start"
}

not_yet() {
  [ ! -e "$m/run/child" ] && [ ! -e "$m/run/exit" ]
}

# remove ROOT N OWNER
remove() {
  at "$1"
  [ -d "$m" ] || return 0
  usable && owned "$3" '' || return
  mkdir -p "$m/run" || { fail denied "cannot create $m/run as $(id -un)"; return; }
  busy || return
  if fence "$2"; then
    stop_service
    clear_away
  else
    idle
    return 1
  fi
}

# drop DIR deletes a release of ours, so that it is never there in part, and
# nothing else.
drop() {
  case ${1##*/} in
  .incoming-*) rm -rf "$1" ;;
  *)
    [ -e "$1/.delivery/revision.json" ] && [ ! -L "$1" ] || return 0
    mv "$1" "${1%/*}/.incoming-old-$$" && rm -rf "${1%/*}/.incoming-old-$$"
    ;;
  esac
}

# clear_away deletes all that is ours, and nothing that users wrote.
clear_away() {
  say "changed"
  rm -f "$d/current"
  for f in "$d"/releases/* "$d"/releases/.incoming-*; do
    drop "$f"
  done
  [ ! -d "$d/releases" ] || rmdir "$d/releases" 2>/dev/null || say "kept $d/releases"
  if [ -d "$d/shared" ]; then
    find "$d/shared" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$d/shared" ] || say "kept $d/shared"
  fi
  mv "$m" "$d/.delivery-removed-$$" && rm -rf "$d/.delivery-removed-$$"
  rmdir "$d" 2>/dev/null
  return 0
}
