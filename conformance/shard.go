package conformance

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Shard is one part of a run that several machines share. The zero value is
// the whole.
type Shard struct {
	Index, Of int // 1..Of
}

// ParseShard reads "2/5".
func ParseShard(s string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	index, of, _ := strings.Cut(s, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(of)
	if err1 != nil || err2 != nil || i < 1 || n < 1 || i > n {
		return Shard{}, fmt.Errorf("shard %q: expected i/n with 1 <= i <= n, such as 2/5", s)
	}
	return Shard{i, n}, nil
}

func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Has reports whether a scenario belongs to the shard. It depends on the id
// alone, so a scenario stays in its shard when others come or go.
func (s Shard) Has(id string) bool {
	if s.Of <= 1 {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return int(h.Sum64()%uint64(s.Of)) == s.Index-1
}
