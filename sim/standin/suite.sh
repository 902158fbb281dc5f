#!/bin/sh
# Runs hcsshim's own integration tests of package hcn against the stand-in:
# each in a process and a store of its own, then all in one. Prints a table.
#
#   suite.sh HNSIM DLLS
set -eu
hnsim=$(realpath "$1")
dlls=$(realpath "$2")
module=${SUITE_MODULE:-github.com/Microsoft/hcsshim}
version=${SUITE_VERSION:-v0.15.0}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

src=$(go mod download -json "$module@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$src" "$work/m"
chmod -R u+w "$work/m" # the module cache is read-only, and tests write beside their sources
cd "$work/m/hcn"
GOOS=windows GOARCH=amd64 GOFLAGS=-mod=mod go test -c -tags integration -o "$work/hcn.test.exe" .

run() { "$hnsim" -q exec --profile ws2025 --dlls "$dlls" -- "$work/hcn.test.exe" -test.v "$@"; }

tests=$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(.*\*testing\.T).*/\1/p' ./*_test.go | sort)
run >"$work/all" 2>&1 || true
passed=0 count=0 together=0
printf '%-52s %-8s %s\n' test alone together
for t in $tests; do
	count=$((count + 1))
	run -test.run "^$t\$" >"$work/one" 2>&1 || true
	a=FAIL b=FAIL
	if grep -q -- "^--- PASS: $t " "$work/one"; then a=ok passed=$((passed + 1)); fi
	if grep -q -- "^--- PASS: $t " "$work/all"; then b=ok together=$((together + 1)); fi
	printf '%-52s %-8s %s\n' "$t" "$a" "$b"
	if [ "$a" = FAIL ]; then sed 's/^/    /' "$work/one"; fi
done
echo "$module $version: $passed of $count pass alone, $together of $count together"
test "$count" -gt 0 && test "$passed" = "$count" && test "$together" = "$count"
