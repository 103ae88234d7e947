#!/usr/bin/env bash
# Runs a command on the first of several "nodes" of one machine: network namespaces with a host name
# each, joined by a switch, between which a plain mpirun starts ranks over TCP. To MPI each is a
# machine of its own.
#
#   tests/cluster/with_nodes.sh [--link "TC QDISC"] [--fabric] NODES COMMAND...
#   tests/cluster/with_nodes.sh --link "tbf rate 1gbit burst 256kb latency 50ms" 2 mpirun -np 4 ...
#
# --link shapes what each node sends (as after `tc qdisc add dev wire root`). Nodes are called
# node0, node1, ...; `$INGOT_ON_NODE 1 COMMAND...` runs something on another one. --fabric gives
# them a second network, of interfaces `fabric`, for NCCL; node N's ends at `fabricN` of the switch:
# `nsenter -t 1 --net ip link set fabric1 down` cuts it and leaves MPI alone. The exit code is
# that of COMMAND, or 77 where this machine does not let namespaces be made (needs root or user
# namespaces) or its kernel has no such qdisc. All processes lie in one PID namespace and end with
# this script, however it ends.
set -euo pipefail
self=$(realpath -- "${BASH_SOURCE[0]}")

usage() {
  sed -n '2,17s/^# \{0,1\}//p' "$self"
  exit 64
}

# Inside of the namespaces, as process 1 of its own.
inside() {
  local folder=$1 link=$2 fabric=$3 nodes=$4 node namespace
  shift 4
  # What Open MPI calls by process number and host name must not meet another run's.
  mount -t tmpfs tmpfs /dev/shm
  echo "127.0.0.1 localhost" >"$folder/hosts"
  for ((node = 0; node < nodes; ++node)); do
    echo "10.77.0.$((node + 1)) node$node" >>"$folder/hosts"
    echo "node$node slots=64" >>"$folder/hostfile"
  done
  mount --bind "$folder/hosts" /etc/hosts

  # This process becomes the switch; sleepers hold the nodes' namespaces.
  ip link add name switch type bridge
  ip link set switch up
  if [[ $fabric ]]; then
    ip link add name fabric type bridge
    ip link set fabric up
    export NCCL_SOCKET_IFNAME=fabric
  fi
  for ((node = 0; node < nodes; ++node)); do
    unshare --net --uts sh -c 'hostname "$1" && touch "$2" && exec sleep infinity' \
      sh "node$node" "$folder/ready$node" &
    namespace=$!
    while [[ ! -e $folder/ready$node ]]; do
      kill -0 "$namespace" 2>/dev/null || exit 77
      sleep 0.01
    done
    echo "$namespace" >"$folder/node$node"
    ip link add name wire netns "$namespace" type veth peer name "port$node"
    ip link set "port$node" master switch up
    nsenter -t "$namespace" --net sh -ec "
      ip link set lo up
      ip address add 10.77.0.$((node + 1))/24 dev wire
      ip link set wire up"
    if [[ $fabric ]]; then
      ip link add name fabric netns "$namespace" type veth peer name "fabric$node"
      ip link set "fabric$node" master fabric up
      nsenter -t "$namespace" --net sh -ec "
        ip address add 10.78.0.$((node + 1))/24 dev fabric
        ip link set fabric up"
    fi
    # shellcheck disable=SC2086
    if [[ $link ]] && ! nsenter -t "$namespace" --net tc qdisc add dev wire root $link; then
      echo "with_nodes.sh: skipped, this kernel cannot shape links by '$link'" >&2
      exit 77
    fi
  done

  # The agent that mpirun reaches other nodes with, as it would with ssh.
  cat >"$folder/on_node" <<AGENT
#!/bin/sh
node=node\${1#node}
shift
exec nsenter -t "\$(cat "$folder/\$node")" --net --uts -- sh -c "\$*"
AGENT
  chmod +x "$folder/on_node"
  export INGOT_ON_NODE=$folder/on_node TMPDIR=$folder
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_plm_rsh_agent=$folder/on_node OMPI_MCA_orte_default_hostfile=$folder/hostfile
  export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_pml=ob1 OMPI_MCA_btl_tcp_if_include=wire
  export OMPI_MCA_oob_tcp_if_include=wire OMPI_MCA_orte_keep_fqdn_hostnames=1
  # More ranks than cores: they do not spin, and no node counts its cores.
  export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
  export OMPI_MCA_rmaps_base_oversubscribe=1
  # Not exec: process 1 reaps what others leave behind.
  local status=0
  nsenter -t "$(cat "$folder/node0")" --net --uts -- "$@" || status=$?
  exit "$status"
}

if [[ ${1:-} == --inside ]]; then
  shift
  inside "$@"
fi

link= fabric=
if [[ ${1:-} == --link && $# -ge 2 ]]; then
  link=$2
  shift 2
fi
if [[ ${1:-} == --fabric ]]; then
  fabric=yes
  shift
fi
[[ ${1:-} =~ ^[1-9][0-9]?$ && $# -ge 2 ]] || usage

privileges=()
if ((EUID)); then privileges=(--user --map-root-user); fi
spaces=("${privileges[@]}" --mount --net --pid --fork --kill-child --mount-proc)
try='ip link add name wire0 type veth peer name wire1 && mount -t tmpfs tmpfs /dev/shm'
if ! unshare "${spaces[@]}" sh -ec "$try" 2>/dev/null; then
  echo "with_nodes.sh: skipped, this machine lets no network namespaces be made" >&2
  exit 77
fi

folder=$(mktemp -d /tmp/nodes.XXXXXX)
child=
clean() {
  if [[ $child ]]; then
    kill -KILL "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap clean EXIT
trap 'exit 143' TERM
trap 'exit 130' INT HUP
# In the background, for a signal to be heard while it runs.
setpriv --pdeathsig KILL unshare "${spaces[@]}" \
  "$BASH" "$self" --inside "$folder" "$link" "$fabric" "$@" <&0 &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
