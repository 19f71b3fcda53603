# The supervisor of one revision's service: supervise ROOT REVISION. Stopping
# is ending it and then its child; it never ends by itself.

d=$1 rev=$2
m=$d/.delivery
r=$d/releases/$rev
cd "$r" || exit 1
svc_start=
. ./.delivery/service
started $$
me="$$ $born"
put "$m/run/supervisor" "$me $rev" || exit 1

# rotate keeps the log within bounds. The service appends to it, so it is cut
# where it is.
rotate() {
  every=1 size=0
  while sleep "$every" && alive $me; do
    before=$size
    size=$(($(wc -c <"$m/log/service.log")))
    if [ "$size" -gt 10485760 ]; then
      tail -c 5242880 "$m/log/service.log" >"$m/log/service.log.1"
      : >"$m/log/service.log"
      size=0 every=1
    elif [ $((size - before)) -gt 262144 ]; then
      every=1
    elif [ "$every" -lt 30 ]; then
      every=$((every * 2))
    fi
  done
}
rotate >/dev/null 2>&1 &

count=0 pause=1
while :; do
  begun=$(date +%s)
  printf '%s\n' "delivery: starting revision $rev"
  $own_session /bin/sh "$r/.delivery/start" "$m" "$rev" "$me" "$begun" "$svc_start"
  status=$?
  now=$(date +%s)
  pid= born_at= f=
  read -r pid born_at f 2>/dev/null <"$m/run/child" && [ -n "$born_at" ] && end_group "$pid" KILL "$born_at"
  count=$((count + 1))
  [ $((now - begun)) -lt 60 ] || pause=1
  put "$m/run/exit" "$count $status $now"
  printf '%s\n' "delivery: the service ended with status $status after $((now - begun)) s; next start in $pause s"
  sleep "$pause"
  pause=$((pause * 2))
  [ "$pause" -le 30 ] || pause=30
done
