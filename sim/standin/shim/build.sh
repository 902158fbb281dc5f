#!/bin/sh
# Builds the DLLs, hnsim-start.exe and powershell.exe into the folder $1.
set -eu
cc=${MINGW_CC:-x86_64-w64-mingw32-gcc}
if ! command -v "$cc" >/dev/null; then
	echo "no $cc: install the package gcc-mingw-w64-x86-64 (Debian, Ubuntu) or mingw64-gcc (Fedora)" >&2
	exit 3
fi
src=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
common="-std=c11 -O2 -Wall -Wextra -Werror -static-libgcc -s"
flags="$common -shared"
# shellcheck disable=SC2086
{
	"$cc" $flags -o "$1/computenetwork.dll" "$src/computenetwork.c" "$src/client.c" "$src/computenetwork.def" -lws2_32 -lole32
	"$cc" $flags -o "$1/vmcompute.dll" "$src/vmcompute.c" "$src/client.c" "$src/vmcompute.def" -lws2_32 -lole32
	"$cc" $flags -o "$1/bcryptprimitives.dll" "$src/bcryptprimitives.c" "$src/winsock.c" "$src/adapters.c" "$src/patch.c" "$src/bcryptprimitives.def" -lws2_32 -ladvapi32
	"$cc" $common -o "$1/hnsim-start.exe" "$src/start.c"
	"$cc" $common -o "$1/powershell.exe" "$src/powershell.c" "$src/psobjects.c" "$src/nettcpip.c" "$src/adapters.c" "$src/patch.c" -lws2_32 -liphlpapi -ladvapi32 -lshell32
}
