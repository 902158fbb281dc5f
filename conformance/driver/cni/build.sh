#!/bin/sh
# Builds the CNI plugins that the scenarios run, unmodified, for Windows.
#
#   build.sh FOLDER
set -eu
module=github.com/containernetworking/plugins
version=v1.9.1
mkdir -p "$1"
out=$(realpath "$1")
src=$(go mod download -json "$module@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cd "$src"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly go build -trimpath -o "$out/" \
	./plugins/main/windows/win-bridge ./plugins/main/windows/win-overlay ./plugins/ipam/host-local
echo "$module $version: win-bridge, win-overlay, host-local in $1"
