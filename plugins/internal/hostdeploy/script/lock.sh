# The lock: locks/N, created once and whole by a hard link. N only grows, and
# the newest one fences all others. Its first line is the pid and start of the
# holder's connection and the end of the lease by this host's clock (see clock), its last
# one a mark that nobody else has: after a removal, N begins again.

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
  holder_mark=
  [ -e "$m/locks/$1" ] || return 1
  { read -r holder_pid holder_born holder_end; read -r f; read -r holder_mark; } <"$m/locks/$1"
  [ ! -e "$m/locks/$1.lease" ] || read -r holder_pid holder_born holder_end <"$m/locks/$1.lease"
  [ ! -e "$m/locks/$1.released" ]
}

# newest_is N-MARK
newest_is() {
  newest
  lease "$top"
  [ "$1" = "$top-$holder_mark" ]
}

# acquire ROOT SECONDS HOLDER MARK takes the lock. Two marks that are alike up to
# their dot are of one operation, which came here by two names.
acquire() {
  at "$1"
  usable || return
  [ -d "$d/releases" ] || mkdir -p "$d/releases" || { fail denied "cannot create $d/releases as $(id -un)"; return; }
  [ -d "$m/locks" ] && [ -d "$m/run" ] && [ -d "$m/log" ] || (umask 077 && mkdir -p "$m/locks" "$m/run" "$m/log") || { fail denied "cannot create $m as $(id -un)"; return; }
  tries=0
  while [ "$tries" -lt 20 ]; do
    tries=$((tries + 1))
    clock
    newest
    if [ "$top" -gt 0 ] && lease "$top" && [ "$now" -lt "$holder_end" ] && alive "$holder_pid" "$holder_born"; then
      if [ "${holder_mark%.*}" = "${4%.*}" ]; then
        say "lock $top-$holder_mark"
        return 0
      fi
      { read -r f; read -r f; } <"$m/locks/$top"
      say "holder $f"
      fail locked
      return
    fi
    n=$((top + 1))
    started "$PPID"
    printf '%s\n%s\n%s\n' "$PPID $born $((now + $2))" "$3" "$4" >"$m/locks/.new-$$" || break
    ln "$m/locks/.new-$$" "$m/locks/$n" 2>/dev/null || continue
    newest
    if [ "$top" = "$n" ]; then
      mark=$4
      set -- "$m/locks/.new-$$"
      for f in "$m"/locks/*; do
        top=${f##*/}
        [ "${top%%.*}" = "$n" ] || set -- "$@" "$f"
      done
      for f in "$d"/releases/.incoming-* "$d"/.delivery-removed-*; do
        [ ! -e "$f" ] || set -- "$@" "$f"
      done
      rm -rf "$@"
      say "lock $n-$mark"
      return 0
    fi
    rm -f "$m/locks/$n"
  done
  rm -f "$m/locks/.new-$$"
  fail failed "cannot create a lock in $m/locks"
}

# fence N-MARK: this lock is the newest, held, and its lease has not ended.
fence() {
  clock
  if ! newest_is "$1" || ! lease "$top" || [ "$now" -ge "$holder_end" ]; then
    f=
    newest_is "$1" || { read -r f; read -r f; } 2>/dev/null <"$m/locks/$top"
    say "holder $f"
    fail fenced
    return
  fi
  [ "$holder_pid" = "$PPID" ] || bind "$top" "$holder_end"
}

# bind N END ties a lock to this connection.
bind() {
  started "$PPID" && put "$m/locks/$1.lease" "$PPID $born $2" || fail failed "cannot write in $m/locks"
}

# renew ROOT N-MARK SECONDS. Where the deployment was removed, there is nothing
# to lock any more.
renew() {
  at "$1"
  [ -d "$m/locks" ] || { say "absent"; return 0; }
  if ! newest_is "$2" || ! lease "$top"; then
    fail fenced
    return
  fi
  clock
  bind "$top" "$((now + $3))"
}

# release ROOT N-MARK
release() {
  at "$1"
  ! newest_is "$2" || [ "$top" = 0 ] || true >"$m/locks/$top.released"
}
