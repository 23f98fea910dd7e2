#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, for tests: no systemd, no cgroups, fake GPUs.
#
#   single_node.sh start DIR    install what is missing (Debian, as root) and start it in DIR
#   single_node.sh stop DIR     stop what runs there and take its links out of /etc/slurm
#
# Exit status 3: SLURM is not here and cannot be installed, the last line says why.
# Exit status 1: it was installed but does not come up.
set -euo pipefail

unavailable() {
  echo "$1"
  exit 3
}

install_packages() {
  if command -v munged slurmctld slurmd sbatch > /dev/null; then return; fi
  command -v apt-get > /dev/null || unavailable "no SLURM here, and no apt-get to install it"
  export DEBIAN_FRONTEND=noninteractive
  {
    apt-get update
    apt-get install --yes --no-install-recommends munge slurmctld slurmd slurm-client
  } &> "$dir/apt.log" || unavailable "apt-get cannot install SLURM: $(tail -n 1 "$dir/apt.log")"
}

stop() {
  # Jobs first: without cgroups nothing else ends their processes.
  [ ! -s "$dir/slurmctld.pid" ] || timeout 10 scancel --full --signal=KILL --user=root || true
  for daemon in slurmd slurmctld munged; do
    [ -s "$dir/$daemon.pid" ] || continue
    pid=$(< "$dir/$daemon.pid")
    for signal in TERM KILL; do
      kill -s $signal "$pid" 2> /dev/null || break
      for _ in {1..50}; do
        kill -0 "$pid" 2> /dev/null || break 2
        sleep 0.1
      done
    done
    rm -f "$dir/$daemon.pid"
  done
  for file in slurm.conf gres.conf; do
    [ "$(readlink "/etc/slurm/$file")" != "$dir/$file" ] || rm "/etc/slurm/$file"
  done
}

configure() {
  cat > "$dir/slurm.conf" << END
# By single_node.sh
ClusterName=single
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$dir/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log

# Processes are found by their parents; memory is polled, and a job above its own is killed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill

SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=5,sched_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=30
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu,seat

NodeName=$node NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:2,seat:2
PartitionName=standard Nodes=$node Default=YES MaxTime=1-0 PriorityTier=2
PartitionName=spare Nodes=$node MaxTime=1-0 PriorityTier=1
END
  echo "Name=seat Count=2" > "$dir/gres.conf"
  for gpu in 0 1; do
    [ -e "$dir/gpu$gpu" ] || mknod "$dir/gpu$gpu" c 1 3  # like /dev/null
    echo "Name=gpu File=$dir/gpu$gpu Flags=nvidia_gpu_env"
  done >> "$dir/gres.conf"
  # Where SLURM looks by itself: jobs inside jobs lose the variable SLURM_CONF.
  mkdir -p /etc/slurm
  ln --symbolic --force "$dir/slurm.conf" "$dir/gres.conf" /etc/slurm/
}

start() {
  mkdir -p "$dir/state" "$dir/spool"
  if grep --quiet --no-messages "^# By single_node.sh" /etc/slurm/slurm.conf; then
    "$0" stop "$(dirname "$(readlink /etc/slurm/slurm.conf)")"  # of a test that was killed
  fi
  [ ! -e /etc/slurm/slurm.conf ] || unavailable "this machine has a SLURM: /etc/slurm/slurm.conf"
  install_packages
  configure
  head -c 1024 /dev/urandom > "$dir/munge.key"
  chmod 600 "$dir/munge.key"
  munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
    --pid-file="$dir/munged.pid" --seed-file="$dir/munge.seed" --log-file="$dir/munged.log"
  slurmctld
  slurmd -N "$node"
  SECONDS=0
  until [ "$(timeout 5 sinfo --noheader --partition=standard --format=%t)" = idle ]; do
    if ((SECONDS > 60)); then
      tail --lines=20 "$dir"/{munged,slurmctld,slurmd}.log
      exit 1
    fi
    sleep 0.1
  done
}

[ "$(uname)-$(id -u)" = Linux-0 ] || unavailable "installing SLURM takes Linux and root"
action=${1:?start or stop}
dir=$(realpath --canonicalize-missing "${2:?a directory}")
node=$(hostname --short)
"$action"
