#!/bin/sh
# The backend of the real HNS against the stand-in: hnsim.exe runs the suite
# under wine through hcsshim, the same suite runs on the model, and hnsim diff
# must find no difference between the two recordings, with nothing normalised.
# Everything goes into the folder $1. Further arguments pick scenarios.
set -eu
out=$1
shift
go=${GO:-go}
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.hnsrec "$out"/*.ndjson

echo "building hnsim, hnsim.exe and the tests for Windows"
"$go" build -o "$out/hnsim" ./cmd/hnsim
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 "$go" build -trimpath -o "$out/hnsim.exe" ./cmd/hnsim
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 "$go" test -c -trimpath -o "$out/hns.test.exe" ./backends/hns

echo "hcsshim's types and the call layer under wine"
(cd backends/hns && "$out/hnsim" exec -q --probes -- "$out/hns.test.exe" -test.v -test.run '^(TestRealCallLayer|TestOurDocumentsAreHcsshims|TestFeaturesAreHcsshims|TestRefusals|TestTagsStandInNamesOnly)$') >"$out/types.txt" 2>&1 || { cat "$out/types.txt"; exit 1; }
if ! grep -q '^--- PASS: TestRealCallLayer' "$out/types.txt"; then
	cat "$out/types.txt"
	echo "the tests of the call layer did not run" >&2
	exit 1
fi

echo "the suite on both"
"$out/hnsim" run -q --timeout 5m --record "$out/sim.hnsrec" --out "$out/sim" "$@" >"$out/sim.txt" 2>&1 &
sim=$!
code=0
"$out/hnsim" exec -q --probes --calls "$out/calls.ndjson" -- "$out/hnsim.exe" run -q --timeout 5m --backend hns \
	--record "$out/hns.hnsrec" --out "$out/hns" "$@" >"$out/hns.txt" 2>&1 || code=$?
wait $sim || { cat "$out/sim.txt"; exit 1; }
cat "$out/hns.txt"
if [ $code != 0 ]; then exit $code; fi

calls=$(wc -l <"$out/calls.ndjson")
through=$(grep -c '"fn":"Hcn\(Create\|Modify\|Delete\)' "$out/calls.ndjson" || true)
echo "$calls calls of HNS through hcsshim, $through of them create, modify or delete"
if [ "$through" = 0 ]; then
	echo "no document went through hcsshim" >&2
	exit 1
fi

echo "the difference between the recordings"
"$out/hnsim" diff -q --timeout 5m --strict all --left "$out/sim.hnsrec" --right "$out/hns.hnsrec" "$@"
