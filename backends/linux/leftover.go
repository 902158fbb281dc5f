package linux

import "fmt"

// Leftover is something that an earlier run has left on the machine.
type Leftover struct {
	Kind  string `json:"kind"` // process, device, table, namespace, file
	Name  string `json:"name"`
	Where string `json:"where,omitempty"` // the namespace, if it is not the machine's own

	remove func() error
}

func (l *Leftover) String() string {
	if l.Where == "" {
		return fmt.Sprintf("%s %s", l.Kind, l.Name)
	}
	return fmt.Sprintf("%s %s in %s", l.Kind, l.Name, l.Where)
}

// Remove takes it away.
func (l *Leftover) Remove() error {
	if err := l.remove(); err != nil {
		return fmt.Errorf("%s: %w", l, err)
	}
	return nil
}

// Owner is the alias of every device that the backend makes: what has it
// belongs to nobody else.
const Owner = "hnsim"
