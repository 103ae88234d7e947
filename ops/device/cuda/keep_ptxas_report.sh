#!/bin/sh
# keep_ptxas_report.sh COMPILER ARGUMENT...: runs the compiler of a .cu file and keeps what ptxas
# says about registers, memory and spills in OBJECT.ptxas; everything else is passed on.
object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
if [ -z "$object" ]; then exec "$@"; fi
"$@" 2>"$object.stderr"
status=$?
pattern='^ptxas info|^[[:space:]]+[0-9]+ bytes stack frame|^$'
grep -E "$pattern" "$object.stderr" >"$object.ptxas"
grep -vE "$pattern" "$object.stderr" >&2
rm -f "$object.stderr"
exit $status
