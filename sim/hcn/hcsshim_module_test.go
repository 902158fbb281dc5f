//go:build windows && hcsshim

package hcn

// The module must be in go.mod for hcsshim_test.go to read its source. The
// build tag is never set: nothing here is compiled against it.
import _ "github.com/Microsoft/hcsshim/hcn"
