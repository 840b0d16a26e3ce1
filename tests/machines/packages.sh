#!/usr/bin/env bash
# Installs what the tests of several machines need, where this is root and Debian; says what is missing otherwise.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
missing=()
for pair in ip:iproute2 unshare:util-linux sshd:openssh-server ssh:openssh-client slurmctld:slurm-wlm munged:munge; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} = 0 ] && exit
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "notice: missing, so that tests are skipped: ${missing[*]} (root on Debian installs them here)"
fi
