# The agent: one shell per connection that is fed calls line by line. Answers
# are lines that begin with the nonce; all other lines are output.

exec 3<&0 </dev/null 2>&1
trap : HUP INT TERM PIPE
umask 022
cd /
unset SSH_CLIENT SSH_CONNECTION SSH_TTY SSH_AUTH_SOCK SSH_ORIGINAL_COMMAND ENV BASH_ENV CDPATH OLDPWD
nl='
'
leave=

say() {
  printf '\n%s:%s\n' "$nonce" "$*"
}

# fail CODE TEXT...
fail() {
  say "error $*"
  return 1
}

# at ROOT names the deployment that a call is about.
at() {
  d=$1
  m=$d/.delivery
}

# ours: the deployment that is here, whole or not, is one of this provider.
ours() {
  for f in locks run log owner ledger.jsonl last_good; do
    [ ! -e "$m/$f" ] || return 0
  done
  return 1
}

# foreign sets $why to what here is not ours.
foreign() {
  why=
  if [ -e "$d" ] && [ ! -d "$d" ]; then
    why="$d is not a directory"
  elif [ -e "$d/current" ] && [ ! -L "$d/current" ]; then
    why="$d/current is there already and is not a symbolic link"
  elif [ -e "$m" ] && [ ! -d "$m" ] || [ -L "$m" ]; then
    why="$m is there already and is not a directory"
  elif [ -e "$d/releases" ] && [ ! -d "$d/releases" ]; then
    why="$d/releases is there already and is not a directory"
  elif ! ours; then
    for f in "$m" "$d/releases"; do
      [ ! -d "$f" ] || [ -z "$(ls -A "$f" 2>/dev/null)" ] || why="$f is there already and is not of this provider"
    done
    [ ! -L "$d/current" ] || why="$d/current is there already and is not of this provider"
  fi
  [ -n "$why" ]
}

# usable refuses what is not ours before anything is written.
usable() {
  if [ -d "$m" ] && [ ! -L "$m" ] && [ ! -w "$m" ]; then
    fail denied "$m is not writable for $(id -un)"
  elif foreign; then
    fail blocked "$why"
  fi
}

# owned OWNER ADOPT refuses a deployment of somebody else, unless it never got
# ready, is half removed, or is to be adopted.
owned() {
  head_owner='' head_generation=0
  [ -e "$m/owner" ] || return 0
  { read -r head_owner; read -r head_generation; } <"$m/owner"
  case $head_generation in '' | *[!0-9]*) head_generation=0 ;; esac
  [ "$head_owner" != "$1" ] && [ "$2" != adopt ] && [ -e "$m/last_good" ] && [ -L "$d/current" ] || return 0
  say "ledger $(tail -n 1 "$m/ledger.jsonl")"
  fail owner "$head_owner"
}

# nap is the shortest sleep there is.
nap() {
  sleep "$1" 2>/dev/null || sleep 1
}

# until_gone SECONDS TEST... waits for a test to become false.
until_gone() {
  naps=0 end=
  limit=$1
  shift
  while "$@"; do
    naps=$((naps + 1))
    if [ "$naps" -le 25 ]; then
      nap 0.02
      continue
    fi
    clock
    [ -n "$end" ] || end=$((now + limit))
    [ "$now" -lt "$end" ] || return 1
    nap 0.1
  done
}

# busy lets one script at a time change what runs here, also when the
# connection of the one before was lost while it was at work.
busy() {
  started $$
  mine="$$ $born"
  printf '%s\n' "$mine" >"$m/run/.busy-$$"
  until_gone 120 taken || {
    rm -f "$m/run/.busy-$$"
    fail busy "another script has been changing this deployment for two minutes"
  }
}

taken() {
  [ -d "$m/run" ] || return 1
  ln "$m/run/.busy-$$" "$m/run/busy" 2>/dev/null && return 1
  theirs=
  read -r theirs 2>/dev/null <"$m/run/busy"
  [ "$theirs" != "$mine" ] || return 1
  alive $theirs && return 0
  mv "$m/run/busy" "$m/run/.stale-$$" 2>/dev/null || return 0
  moved=
  read -r moved <"$m/run/.stale-$$"
  [ "$moved" = "$theirs" ] || ln "$m/run/.stale-$$" "$m/run/busy" 2>/dev/null
  rm -f "$m/run/.stale-$$"
  return 0
}

idle() {
  rm -f "$m/run/busy" "$m/run/.busy-$$"
}

# reply makes the call in $line.
reply() {
  eval "$line"
  code=$?
  [ -z "$leave" ] || say leaving
  printf '\n%s %s\n' "$nonce" "$code"
}

serve() {
  while [ -z "$leave" ] && IFS= read -r line <&3; do
    reply
  done
}
