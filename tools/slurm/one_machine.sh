#!/usr/bin/env bash
# A Slurm of one machine for a trial, without systemd: munged, slurmctld and slurmd as root, one node
# with a slot for each core, everything under DIR. Debian: slurm-wlm munge.
# usage: tools/slurm/one_machine.sh DIR [stop]; then export SLURM_CONF=DIR/slurm.conf
set -euo pipefail
dir=$(realpath -m "$1")
pids=("$dir/slurmd.pid" "$dir/slurmctld.pid" "$dir/munged.pid")
if [[ ${2-} == stop ]]; then
  for pid in "${pids[@]}"; do [[ -s $pid ]] && kill "$(cat "$pid")"; done
  exit 0
fi

mkdir -p "$dir/state" "$dir/spool"
chmod 0755 "$dir"
host=$(hostname -s)
[[ -s $dir/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
munged --force --key-file "$dir/munge.key" --socket "$dir/munge.socket" --pid-file "$dir/munged.pid" \
  --log-file "$dir/munged.log" --seed-file "$dir/munge.seed"

cat >"$dir/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthInfo=socket=$dir/munge.socket
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobs.txt
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$dir/slurm.conf
slurmctld
slurmd
until sinfo --noheader --states=idle | grep -q .; do sleep 0.5; done
sinfo
