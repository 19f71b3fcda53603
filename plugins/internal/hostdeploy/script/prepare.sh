# Bringing a revision here without touching what runs.

# prepare ROOT N OWNER ADOPT REVISION INCOMING SIZE TIMEOUT SHARED... -- INSTALL...
# takes one tar of SIZE bytes from the connection.
prepare() {
  at "$1"
  if whole "$d/releases/$5"; then
    leave=1
    say "present"
    return 0
  fi
  lock=$2
  usable && owned "$3" "$4" && fence "$2" && take "$6" "$7" || {
    leave=1
    return 1
  }
  rev=$5 incoming=$6 timeout=$8
  shift 8
  finish_parts 1 "$@"
}

# present ROOT REVISION
present() {
  at "$1"
  ! whole "$d/releases/$2" || say "present"
}

# receive ROOT N INCOMING SIZE PART takes one of several tars.
receive() {
  at "$1"
  lock=$2
  fence "$lock" && take "$3" "$4" "$5" || {
    leave=1
    return 1
  }
}

# take INCOMING SIZE [PART]
take() {
  part=${3:-1}
  in=$d/releases/$1
  [ -d "$in" ] || mkdir "$in" 2>/dev/null || [ -d "$in" ] || { fail denied "cannot create $in as $(id -un)"; return; }
  if head -c "$2" <&3 | tar -xomf - -C "$in" && [ -e "$in/.delivery/part-$part" ]; then
    return 0
  fi
  fence "$lock" || { rm -rf "$in"; return 1; }
  say "df $(df -Pk "$d" | tail -n 1)"
  rm -rf "$in"
  fail unpack
}

# finish ROOT N REVISION INCOMING PARTS TIMEOUT SHARED... -- INSTALL...
finish() {
  at "$1"
  fence "$2" || return
  lock=$2 rev=$3 incoming=$4 parts=$5 timeout=$6
  shift 6
  finish_parts "$parts" "$@"
}

discard() {
  at "$1"
  case $2 in .incoming-*) rm -rf "$d/releases/$2" ;; esac
}

# finish_parts PARTS SHARED... -- INSTALL... makes the upload a release.
finish_parts() {
  in=$d/releases/$incoming
  r=$d/releases/$rev
  parts=$1
  shift
  while [ "$parts" -gt 0 ]; do
    [ -e "$in/.delivery/part-$parts" ] || { fail failed "part $parts of the upload is missing"; return; }
    parts=$((parts - 1))
  done
  busy || return
  there=
  arrive "$@"
  code=$?
  idle
  [ "$code" -eq 0 ] && [ -z "$there" ] || return "$code"
  while [ "$1" != -- ]; do
    shift
  done
  shift
  i=0
  for command in "$@"; do
    i=$((i + 1))
    fence "$lock" || return
    say "phase install $i $command"
    bounded "$timeout" "$r" "$command" install || {
      code=$?
      withdraw
      fail install "$i $code $late"
      return
    }
  done
  fence "$lock" || return
  sync -f "$r" 2>/dev/null || sync
  true >"$r/.delivery/complete" || {
    withdraw
    fail failed "cannot write in $r"
    return
  }
  say "changed"
}

# arrive SHARED... -- moves the upload to its place, unless the lock or the place
# was taken while it was on its way.
arrive() {
  fence "$lock" || { rm -rf "$in"; return 1; }
  if whole "$r"; then
    there=1
    rm -rf "$in"
    say "present"
    return 0
  fi
  if [ -e "$r" ]; then
    mv "$r" "$d/releases/.incoming-old-$$" || { fail failed "cannot replace the incomplete $r"; return; }
    rm -rf "$d/releases/.incoming-old-$$"
  fi
  mv "$in" "$r" || { fail failed "cannot move the upload to $r"; return; }
  while [ "$1" != -- ]; do
    share "$1" || { rm -rf "$r"; fail failed "cannot share $1"; return; }
    shift
  done
}

# withdraw deletes the release that is being made, if it is still ours to make.
withdraw() {
  ! newest_is "$lock" || rm -rf "$r"
}

# share NAME makes NAME in the release a link to what all revisions share. What
# the release ships is its beginning; what is there already stays.
share() {
  s=$d/shared/$1
  case $1 in
  */*)
    [ -d "${s%/*}" ] || mkdir -p "${s%/*}" || return
    [ -d "$r/${1%/*}" ] || mkdir -p "$r/${1%/*}" || return
    ;;
  *) [ -d "$d/shared" ] || mkdir -p "$d/shared" || return ;;
  esac
  if [ ! -e "$s" ] && [ ! -L "$s" ]; then
    if [ -e "$r/$1" ]; then
      mv "$r/$1" "$s" || return
    else
      mkdir "$s" || return
    fi
  elif [ -e "$r/$1" ] || [ -L "$r/$1" ]; then
    rm -rf "$r/$1" || return
  fi
  up=../..
  rest=$1
  while [ "$rest" != "${rest#*/}" ]; do
    up=$up/..
    rest=${rest#*/}
  done
  ln -s "$up/shared/$1" "$r/$1"
}

# bounded SECONDS DIR COMMAND [JOB] runs a command in a release, with its
# environment, in a session of its own that ends with it, unless $spare is set.
spare=
bounded() {
  late=
  $own_session /bin/sh -c 'cd "$1" && . ./.delivery/environment && exec /bin/sh -c "$2"' sh "$2" "$3" 3<&- &
  p=$!
  started "$p"
  p_born=${born:-gone}
  [ -z "$4" ] || put "$m/run/job-$4" "$p $p_born"
  one=$p
  [ -z "$own_session" ] || one=-$p
  $own_session /bin/sh -c 'sleep "$1"; true >"$2"; kill -TERM $4 "$3"; sleep 5; kill -KILL $4 "$3"' sh "$1" "$m/run/.late-$p" "$one" "$group" >/dev/null 2>&1 3<&- &
  dog=$!
  while :; do
    wait "$p"
    code=$?
    [ "$code" -gt 128 ] && kill -0 "$p" 2>/dev/null || break
  done
  kill -KILL "$dog" 2>/dev/null
  end_group "$dog" KILL
  wait "$dog" 2>/dev/null
  [ -n "$spare" ] || end_group "$p" KILL "$p_born"
  [ -z "$4" ] || rm -f "$m/run/job-$4"
  if [ -e "$m/run/.late-$p" ]; then
    rm -f "$m/run/.late-$p"
    late=late
    [ "$code" -ne 0 ] || code=143
  fi
  return "$code"
}

# in_release ROOT REVISION SECONDS JOB COMMAND [EXPORTS]. EXPORTS are lines of
# shell that come after the release's own environment; no list of processes shows
# them.
in_release() {
  at "$1"
  [ -r "$d/releases/$2/.delivery/environment" ] || { fail missing "revision $2 is not here"; return; }
  within=$5
  if [ -n "$6" ]; then
    delivery_exports=$6
    export delivery_exports
    within='eval "$delivery_exports"; unset delivery_exports; '$within
  fi
  bounded "$3" "$d/releases/$2" "$within" "$4"
  code=$?
  unset delivery_exports
  say "status $code $late"
}

# cancel ROOT JOB
cancel() {
  at "$1"
  pid= born_at=
  read -r pid born_at 2>/dev/null <"$m/run/job-$2" && alive "$pid" "$born_at" && end_group "$pid" TERM
  return 0
}
