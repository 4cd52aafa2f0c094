#!/bin/sh
# Installs the peers from Debian packages and builds their load generators; as root, once on a machine.
#   bench/peers/setup.sh [folder for the load generators, default ~/.cache/stretto-peers]
set -e
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$HOME/.cache/stretto-peers}
# No service may start by itself: the benchmark starts what it measures.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
apt-get install -y -qq --no-install-recommends etcd-server nats-server golang-go golang-etcd-server-dev \
  golang-github-nats-io-go-nats-dev > /dev/null
mkdir -p "$target"
for peer in etcd nats; do
  GO111MODULE=off GOPATH="$here/go:/usr/share/gocode" go build -o "$target/load-$peer" "lg/$peer"
done
echo "the load generators are in $target"
