# The ledger, and what retention no longer wants.

# record ROOT N OWNER ADOPT GENERATION PHASE GOOD LINE. An entry that is there
# already, because an answer was lost, is not written twice.
record() {
  at "$1"
  [ -d "$m/locks" ] || { say "absent"; return 0; }
  fence "$2" && owned "$3" "$4" || return
  if [ "$5" -le "$head_generation" ]; then
    [ "$(tail -n 1 "$m/ledger.jsonl" 2>/dev/null)" = "$8" ] && return 0
    fail stale "$head_generation"
    return
  fi
  printf '\n%s\n' "$8" >>"$m/ledger.jsonl" || { fail failed "cannot write $m/ledger.jsonl"; return; }
  if [ -n "$7" ]; then
    put "$m/last_good" "$7$nl$8" || { fail failed "cannot write $m/last_good"; return; }
  fi
  if [ "$6" = end ] && [ $(($5 % 32)) -lt 2 ] && [ "$(wc -c <"$m/ledger.jsonl")" -gt 2097152 ]; then
    tail -n 1000 "$m/ledger.jsonl" | tail -c 1048576 >"$m/ledger.$$" && mv -f "$m/ledger.$$" "$m/ledger.jsonl"
  fi
  put "$m/owner" "$3$nl$5" || fail failed "cannot write $m/owner"
}

# prune ROOT N OWNER ADOPT KEEP EVERYTHING
prune() {
  at "$1"
  [ -d "$m/locks" ] || return 0
  fence "$2" && owned "$3" "$4" || return
  keep=$5
  good= linked= wanted= kind= runs=
  [ ! -e "$m/last_good" ] || read -r good <"$m/last_good"
  [ ! -L "$d/current" ] || linked=$(readlink "$d/current")
  linked=${linked#releases/}
  read -r wanted kind 2>/dev/null <"$m/run/service"
  pid= born_at= since= f=
  read -r pid born_at since f 2>/dev/null <"$m/run/child" && alive "$pid" "$born_at" && runs=$f
  if [ -n "$6" ]; then
    keep=0 good=
    if [ -z "$linked$runs$wanted" ]; then
      busy || return
      for f in "$d"/releases/*; do
        [ ! -e "$f/.delivery/revision.json" ] || say "removed ${f##*/}"
      done
      clear_away
      return
    fi
  fi
  set --
  for f in $(ls -1t "$d"/releases/*/.delivery/complete 2>/dev/null | sed -e 's|/.delivery/complete$||' -e 's|.*/||'); do
    if [ "$keep" -gt 0 ]; then
      keep=$((keep - 1))
      continue
    fi
    case $f in "$good" | "$linked" | "$runs" | "$wanted") continue ;; esac
    set -- "$@" "$f"
  done
  for f in "$d"/releases/*; do
    f=${f##*/}
    [ ! -e "$d/releases/$f/.delivery/revision.json" ] || [ -e "$d/releases/$f/.delivery/complete" ] || [ "$f" = "$linked" ] || [ "$f" = "$runs" ] || set -- "$@" "$f"
  done
  for f in "$@"; do
    drop "$d/releases/$f"
    say "removed $f"
  done
  for f in "$d"/releases/.incoming-*; do
    drop "$f"
  done
  return 0
}
