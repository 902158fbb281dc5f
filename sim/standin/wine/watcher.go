package wine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// watchScript waits for the end of its input. The process group of the program
// comes on it, and "done" if this process is still there to see the end.
//
// -k2 makes the server kill every process of the prefix; -k9 would only kill
// the server, and its services would wait for it forever. Where the system
// shows environments, processes that have the prefix in theirs are killed until
// there are none: by thread, since one that the server knows nothing of (of
// libusb) may outlive the main thread, and hold the pipes. The script itself
// does not have the prefix there.
//
// Where servers have their sockets they leave a folder each: below
// /tmp/.wine-UID, named after the prefix' inode, or with Debian's patch below
// TMPDIR, named in the prefix.
const watchScript = `
server=$1 sockets=$2 prefix=$3
groups= done= once=
while read -r word; do
	case $word in
	done) done=yes ;;
	*) groups="$groups -$word" ;;
	esac
done
rounds=0
while [ $rounds -lt 100 ]; do
	rounds=$((rounds + 1))
	[ -z "$groups" ] || kill -9 -- $groups
	WINEPREFIX=$prefix "$server" -k2
	left=
	for file in $(grep -lsxzF -e "WINEPREFIX=$prefix" /proc/[0-9]*/task/[0-9]*/environ); do
		file=${file#/proc/}
		left="$left ${file%%/*}"
	done
	[ -z "$left" ] || kill -9 $left
	WINEPREFIX=$prefix "$server" -w
	if [ -n "$left" ]; then
		sleep 0.1 || sleep 1
	elif [ -n "$done$once" ]; then
		break
	else
		# The program may have been about to start its server.
		once=yes
		sleep 1
	fi
done
read -r folder <"$prefix/wineserver"
case $folder in
wine-??????) rm -rf -- "${TMPDIR:-/tmp}/$folder" ;;
esac
rm -rf -- "$sockets" "$prefix"
[ -n "$done" ] || rm -f -- "$prefix.lock"
exit 0
`

// gateScript starts a program when a line comes on file 3. Without one nobody
// watches: the process that would have written it has ended.
const gateScript = `read -r go <&3 && exec "$@" 3<&-`

// watcher is the process that ends a run.
type watcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// newWatcher starts the watcher of the run in dir, for which the lock is held:
// it is until the watcher has ended, even if this process ends first. The
// watcher is the shell: every system with wine has one.
func newWatcher(server, dir string, lock *os.File) (*watcher, error) {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "hnsim-watch", server, socketFolder(dir), dir)
	cmd.ExtraFiles = []*os.File{lock}
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

// start starts a program in a process group of its own (ownGroup), once the
// watcher knows the group: there is no moment at which this process could be
// killed and the program go on.
func (w *watcher) start(cmd *exec.Cmd, start func(*exec.Cmd) error) error {
	wait, gate, err := os.Pipe()
	if err != nil {
		return err
	}
	defer wait.Close()
	cmd.Args = append([]string{"sh", "-c", gateScript, "hnsim-gate", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = []*os.File{wait}
	if err = start(cmd); err != nil {
		return errors.Join(err, gate.Close())
	}
	if _, err = fmt.Fprintf(w.in, "%d\n", cmd.Process.Pid); err == nil {
		_, err = fmt.Fprintln(gate, "go")
	}
	if gate.Close(); err != nil {
		_ = cmd.Wait()
		return fmt.Errorf("the watcher of the run has ended: %w", err)
	}
	return nil
}

// end ends everything of the run and returns when it is gone.
func (w *watcher) end() error {
	fmt.Fprintln(w.in, "done")
	w.in.Close()
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("cleaning up after wine: %w", err)
	}
	return nil
}
