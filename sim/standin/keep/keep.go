package keep

import (
	"fmt"
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin/statefile"
)

// Config says what is kept where.
type Config struct {
	Path  string
	World *sim.World // with its hosts, whose HNS has no objects yet
	// Reboot restarts the hosts instead of their HNS alone.
	Reboot bool
}

// Keeper stores the changes of a world. Its methods other than Sync, Stats and
// Err are used with the world, by one goroutine at a time.
type Keeper struct {
	file  *statefile.File
	world *sim.World
	retry int64 // size of the file at which to try again to rewrite it
}

// Report tells what was found in the file.
type Report struct {
	New    bool
	Torn   int64    // bytes at the end that cannot be read, as a crash leaves them
	Found  Count    // objects that the file held
	Kept   Count    // those of them that are there again (G.5)
	Absent []string // hosts of the world that the file does not know
}

// Count counts objects, the host's own namespace not included.
type Count struct{ Networks, Endpoints, Namespaces, LoadBalancers, Routes int }

func (c Count) String() string {
	return fmt.Sprintf("%d networks, %d endpoints, %d namespaces, %d load balancers, %d routes",
		c.Networks, c.Endpoints, c.Namespaces, c.LoadBalancers, c.Routes)
}

func (c *Count) add(s *hns.State) {
	c.Networks += len(s.Networks)
	c.Endpoints += len(s.Endpoints)
	c.LoadBalancers += len(s.LoadBalancers)
	c.Routes += len(s.Routes)
	for _, n := range s.Namespaces {
		if !n.BuiltIn() {
			c.Namespaces++
		}
	}
}

// Open restores the world from the file, or makes the file, and stores every
// change from then on. A file that does not fit the world is refused and not
// touched.
func Open(cfg Config) (*Keeper, *Report, error) {
	file, loaded, err := statefile.Open(cfg.Path, map[string]string{"profile": cfg.World.Profile.Name})
	if err != nil {
		return nil, nil, err
	}
	k := &Keeper{file: file, world: cfg.World}
	rep, err := k.restore(cfg, loaded)
	if err == nil {
		err = k.rewrite()
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	for _, h := range cfg.World.Hosts() {
		h.HNS.Persist(func(prev, next *hns.State) error {
			d, err := hns.StoreDelta(prev, next, k.now())
			if err != nil {
				return err
			}
			return file.Append(statefile.Change{Host: h.Name(), Delta: d})
		})
	}
	return k, rep, nil
}

func (k *Keeper) now() time.Duration { return time.Duration(k.world.Loop().Now()) }

// restore brings the hosts to what the file says.
func (k *Keeper) restore(cfg Config, loaded *statefile.Loaded) (*Report, error) {
	rep := &Report{New: loaded.Meta == nil, Torn: loaded.Torn}
	if rep.New {
		return rep, nil
	}
	if was, is := loaded.Meta["profile"], cfg.World.Profile.Name; was != is {
		return nil, fmt.Errorf("%s: the state is that of profile %s, this world is %s. Nothing was changed: use --profile %s, or another file", cfg.Path, was, is, was)
	}
	stored := map[string]*hns.Stored{}
	for i, c := range loaded.Changes {
		if stored[c.Host] == nil {
			stored[c.Host] = &hns.Stored{}
		}
		if err := stored[c.Host].Add(c.Delta); err != nil {
			return nil, fmt.Errorf("%s: change %d, of host %q: %w. Nothing was changed: restore the file from a copy, or start with another one", cfg.Path, i+1, c.Host, err)
		}
	}
	for name, s := range stored {
		if cfg.World.Host(name) == nil {
			return nil, fmt.Errorf("%s: the state has a host %q, this world has not. Nothing was changed: start with the hosts that the file was made with, or with another file", cfg.Path, name)
		}
		// Time goes on where it stopped: objects are not made in the future.
		if d := s.At - k.now(); d > 0 {
			if err := cfg.World.Loop().Advance(d); err != nil {
				return nil, err
			}
		}
	}
	for _, h := range cfg.World.Hosts() {
		s := stored[h.Name()]
		if s == nil {
			rep.Absent = append(rep.Absent, h.Name())
			continue
		}
		rep.Found.add(s.State)
		if err := resume(h, s.State, cfg.Reboot); err != nil {
			return nil, fmt.Errorf("%s: host %s: %w. Nothing was changed: start with the hosts that the file was made with, or with another file", cfg.Path, h.Name(), err)
		}
		rep.Kept.add(h.HNS.State())
	}
	return rep, nil
}

func resume(h *sim.Host, s *hns.State, reboot bool) error {
	if err := h.HNS.Resume(s); err != nil || !reboot {
		return err
	}
	return h.Reboot()
}

// rewrite stores the present state of all hosts in place of the changes that
// led to it.
func (k *Keeper) rewrite() error {
	var whole []statefile.Change
	for _, h := range k.world.Hosts() {
		d, err := hns.StoreDelta(nil, h.HNS.State(), k.now())
		if err != nil {
			return err
		}
		whole = append(whole, statefile.Change{Host: h.Name(), Delta: d})
	}
	return k.file.Rewrite(slices.Clip(whole))
}

// Tidy rewrites the file when it has grown. Its error is a warning: changes
// are still stored. The world must not change meanwhile.
func (k *Keeper) Tidy() error {
	size := k.file.Stats().Size
	if !k.file.Grown() || size < k.retry {
		return nil
	}
	k.retry = 0
	err := k.rewrite()
	if err != nil {
		k.retry = 2 * size
	}
	return err
}

// Sync returns when all changes so far are on the disk.
func (k *Keeper) Sync() error { return k.file.Sync() }

// Err is why no further change is stored, nil while all is well.
func (k *Keeper) Err() error { return k.file.Err() }

// Stats are the counters of the file.
func (k *Keeper) Stats() statefile.Stats { return k.file.Stats() }

// Close syncs and closes the file. Changes are refused from then on.
func (k *Keeper) Close() error { return k.file.Close() }
