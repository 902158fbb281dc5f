package wine

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// watchScript waits for the end of its input. The process group of the program
// comes on it, and "done" if this process is still there to see the end.
//
// -k2 makes the server kill every process of the prefix; -k9 would only kill
// the server, and its services would wait for it forever. Where servers have
// their sockets they leave a folder each: below /tmp/.wine-UID, named after
// the prefix' inode, or with Debian's patch below TMPDIR, named in the prefix.
const watchScript = `
groups= done=
while read -r word; do
	case $word in
	done) done=yes ;;
	*) groups="$groups -$word" ;;
	esac
done
for once in 1 2; do
	[ -z "$groups" ] || kill -9 -- $groups
	"$1" -k2
	"$1" -w
	[ -z "$done" ] || break
	# The program may have been about to start its server.
	sleep 1
done
read -r sockets <"$WINEPREFIX/wineserver"
case $sockets in
wine-??????) rm -rf -- "${TMPDIR:-/tmp}/$sockets" ;;
esac
rm -rf -- "$2" "$WINEPREFIX"
[ -n "$done" ] || rm -f -- "$WINEPREFIX.lock"
exit 0
`

// watcher is the process that ends a run.
type watcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// newWatcher starts the watcher of the run in dir. It is the shell: every
// system with wine has one.
func newWatcher(server, dir string) (*watcher, error) {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "hnsim-watch", server, socketFolder(dir))
	cmd.Env = append(os.Environ(), "WINEPREFIX="+dir)
	cmd.Dir = "/"
	ownSession(cmd) // Ctrl-C of the terminal is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the watcher: %w", err)
	}
	return &watcher{cmd, in}, nil
}

// watch names the process group that has to end.
func (w *watcher) watch(group int) { fmt.Fprintf(w.in, "%d\n", group) }

// end ends everything of the run and returns when it is gone.
func (w *watcher) end() error {
	fmt.Fprintln(w.in, "done")
	w.in.Close()
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("cleaning up after wine: %w", err)
	}
	return nil
}
