# The service's process: start META REVISION SUPERVISOR BEGUN COMMAND. It says
# who it is before it looks whether its supervisor still lives, so that whoever
# ended the supervisor either sees it or is seen by it.

started $$
put "$1/run/child" "$$ $born $4 $2" || exit 1
alive $3 || exit 0
set -- "$5"
. ./.delivery/environment
exec /bin/sh -c "$1"
