# Shared by the agent and by what stays on the host: who a process is.

# started PID sets $born to the moment at which a process started, and the boot
# since which that is counted, so that a pid that was given to another process,
# also after the machine was started again, is not taken for it. False: no process.
started() {
  born= boot=
  stat=
  if [ -r "/proc/$1/stat" ]; then
    IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    set -- $stat
    born=${20}
    [ ! -r /proc/sys/kernel/random/boot_id ] || IFS= read -r boot </proc/sys/kernel/random/boot_id
    born=$born${boot:+-$boot}
    [ "$1" != Z ] && [ "$1" != X ]
    return
  fi
  kill -0 "$1" 2>/dev/null || return 1
  if [ -r /proc/self/stat ]; then
    born=hidden
    return
  fi
  set -- $(ps -o state= -o lstart= -p "$1" 2>/dev/null)
  case $1 in '' | Z*) return 1 ;; esac
  born=$2-$3-$4-$5-$6
}

# clock sets $now to seconds that only grow while the machine runs. A lease ends
# by it; what it says after a start is no matter, since no holder survives that.
clock() {
  if [ -r /proc/uptime ]; then
    read -r now idle_time </proc/uptime
    now=${now%.*}
  else
    now=$(date +%s)
  fi
}

# alive PID BORN
alive() {
  [ -n "$1" ] && [ -n "$2" ] && started "$1" && [ "$born" = "$2" ]
}

# end_group PID SIGNAL [BORN] signals a process group. Once its leader is gone, a
# process of that pid is a stranger, and then the group is one too: the pid of
# a group is not given away while it has members.
end_group() {
  case $1 in '' | *[!0-9]* | 0 | 1) return 0 ;; esac
  if [ -n "$3" ]; then
    started "$1"
    [ -z "$born" ] || [ "$born" = "$3" ] || return 0
  fi
  kill "-$2" $group "-$1" 2>/dev/null || { [ -z "$own_session" ] && kill "-$2" "$1" 2>/dev/null; }
}

# put FILE TEXT replaces a file as a whole.
put() {
  printf '%s\n' "$2" >"$1.$$" && mv -f "$1.$$" "$1" && return 0
  rm -f "$1.$$"
  return 1
}

# A program kill, unlike those built into shells, may take the pid of a group for
# options: -123 for -1, which is everybody.
group=
case $(command -v kill) in
/*) group=-- ;;
esac

# own_session COMMAND... runs a command in a session of its own, in its place.
# detached COMMAND... leaves it behind in one, with its signals as they were.
if command -v setsid >/dev/null 2>&1; then
  own_session='setsid'
  detached='setsid setsid'
elif command -v perl >/dev/null 2>&1; then
  own_session='perl -MPOSIX -ePOSIX::setsid();exec(@ARGV)'
  detached='perl -MPOSIX -efork&&exit;POSIX::setsid();exec(@ARGV)'
else
  own_session=
  detached=
fi
