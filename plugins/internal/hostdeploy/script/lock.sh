# The lock: locks/N, created once and whole by a hard link. N only grows, and
# the newest one fences all others. Its first line is the pid and start of the
# holder's connection and the end of the lease by this host's clock.

newest() {
  top=0
  for f in "$m"/locks/*; do
    f=${f##*/}
    case $f in '' | *[!0-9]*) continue ;; esac
    [ "$f" -le "$top" ] || top=$f
  done
}

# lease N reads who holds lock N and until when.
lease() {
  holder_pid= holder_born= holder_end=0
  [ -e "$m/locks/$1" ] || return 1
  read -r holder_pid holder_born holder_end <"$m/locks/$1"
  [ ! -e "$m/locks/$1.lease" ] || read -r holder_pid holder_born holder_end <"$m/locks/$1.lease"
  [ ! -e "$m/locks/$1.released" ]
}

# acquire ROOT SECONDS HOLDER
acquire() {
  at "$1"
  usable || return
  if [ ! -d "$m/locks" ]; then
    mkdir -p "$d/releases" || { fail denied "cannot create $d/releases as $(id -un)"; return; }
    (umask 077 && mkdir -p "$m/locks" "$m/run" "$m/log") || { fail denied "cannot create $m as $(id -un)"; return; }
  fi
  tries=0
  while [ "$tries" -lt 20 ]; do
    tries=$((tries + 1))
    now=$(date +%s)
    newest
    if [ "$top" -gt 0 ] && lease "$top" && [ "$now" -lt "$holder_end" ] && alive "$holder_pid" "$holder_born"; then
      { read -r f; read -r f; } <"$m/locks/$top"
      say "holder $f"
      fail locked
      return
    fi
    n=$((top + 1))
    started "$PPID"
    printf '%s\n%s\n' "$PPID $born $((now + $2))" "$3" >"$m/locks/.new-$$" || break
    ln "$m/locks/.new-$$" "$m/locks/$n" 2>/dev/null || continue
    newest
    if [ "$top" = "$n" ]; then
      set -- "$m/locks/.new-$$"
      for f in "$m"/locks/*; do
        top=${f##*/}
        [ "${top%%.*}" = "$n" ] || set -- "$@" "$f"
      done
      rm -f "$@"
      say "lock $n"
      return 0
    fi
    rm -f "$m/locks/$n"
  done
  rm -f "$m/locks/.new-$$"
  fail failed "cannot create a lock in $m/locks"
}

# fence N: the lock N is the newest, held, and its lease has not ended.
fence() {
  newest
  if [ "$top" != "$1" ] || ! lease "$1" || [ "$(date +%s)" -ge "$holder_end" ]; then
    f=
    [ "$top" = "$1" ] || { read -r f; read -r f; } 2>/dev/null <"$m/locks/$top"
    say "holder $f"
    fail fenced
    return
  fi
  [ "$holder_pid" = "$PPID" ] || bind "$1" "$holder_end"
}

# bind N END ties a lock to this connection.
bind() {
  started "$PPID" && put "$m/locks/$1.lease" "$PPID $born $2"
}

# renew ROOT N SECONDS
renew() {
  at "$1"
  newest
  if [ "$top" != "$2" ] || ! lease "$2"; then
    fail fenced
    return
  fi
  bind "$2" "$(($(date +%s) + $3))"
}

# release ROOT N
release() {
  at "$1"
  [ ! -e "$m/locks/$2" ] || true >"$m/locks/$2.released"
}
