#!/usr/bin/env bash
# Runs PROGRAM, one rank per network namespace, all of them joined by a switch:
#
#   tests/nodes/run.sh PROGRAM SCENARIO
#
# Scenarios: `sums` (three nodes), `slow` (the same over links of 20 Mbit/s and 5 ms), `cut` (node 1
# loses its link while sums go on), `report` (bytes over the network are counted). Exits with 77
# where this machine does not let namespaces be made, which needs root.
set -euo pipefail
program=$1 scenario=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/gpusim-nodes-XXXXXX")
job=$$
nodes=3

skip() {
  echo "run.sh: skipped: $1" >&2
  exit 77
}

clean() {
  local node
  for ((node = 0; node < nodes; ++node)); do
    ip netns pids "gpusim$job-$node" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del "gpusim$job-$node" 2>/dev/null || true
  done
  ip link del "gps$job" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean EXIT

((EUID == 0)) || skip "not root"
command -v ip >/dev/null || skip "no ip command"
ip netns add "gpusim$job-0" 2>/dev/null || skip "network namespaces cannot be made"
ip link add name "gps$job" type bridge 2>/dev/null || skip "no bridges"
ip link set "gps$job" up
for ((node = 0; node < nodes; ++node)); do
  space=gpusim$job-$node
  ((node == 0)) || ip netns add "$space"
  ip link add name wire netns "$space" type veth peer name "gp$job.$node" || skip "no veth pairs"
  ip link set "gp$job.$node" master "gps$job" up
  ip -n "$space" link set lo up
  ip -n "$space" address add "10.78.0.$((node + 1))/24" dev wire
  ip -n "$space" link set wire up
  if [[ $scenario == slow ]]; then
    ip netns exec "$space" tc qdisc add dev wire root netem rate 20mbit delay 5ms 2>/dev/null ||
      ip netns exec "$space" tc qdisc add dev wire root tbf rate 20mbit burst 32kb latency 50ms \
        2>/dev/null || skip "links cannot be shaped"
  fi
done

what=sums
[[ $scenario == cut ]] && what=cut
processes=()
for ((node = 0; node < nodes; ++node)); do
  report=
  [[ $scenario == report ]] && report=$folder/report$node.json
  GPUSIM_REPORT=$report NCCL_SOCKET_IFNAME=wire ip netns exec "gpusim$job-$node" \
    "$program" "$node" "$nodes" "$folder/id" "$what" >"$folder/out$node" 2>"$folder/err$node" &
  processes+=($!)
done
if [[ $scenario == cut ]]; then
  # All of them have finished a sum, so that the cut meets a running job.
  for ((tries = 0; tries < 600; ++tries)); do
    running=("$folder"/id.running*)
    ((${#running[@]} == nodes)) && break
    sleep 0.1
  done
  ip link set "gp$job.1" down
fi
status=0
for ((node = 0; node < nodes; ++node)); do
  wait "${processes[$node]}" || status=1
  if [[ $(tail -n 1 "$folder/out$node") != ok ]] || grep -q "^gpusim: [^n]" "$folder/err$node"; then
    if [[ $scenario != report ]] || [[ $(tail -n 1 "$folder/out$node") != ok ]]; then
      echo "node $node:" && cat "$folder/out$node" "$folder/err$node"
      status=1
    fi
  fi
done
if [[ $scenario == report ]]; then
  # An all-reduce of n bytes: everybody sends each other two parts of n / 3.
  python3 - "$folder" <<'CHECK' || status=1
import json, sys
bytes_all = 20000 * 4
for node in range(3):
    links = json.load(open(f"{sys.argv[1]}/report{node}.json"))["links"]
    sent = sum(l["bytes"] for l in links if l["by"] == "nccl" and l["network"])
    assert abs(sent - bytes_all * 4 / 3) < 64, (node, links)
    assert all(l["network"] for l in links), links
CHECK
fi
((status == 0)) && echo ok
exit "$status"
