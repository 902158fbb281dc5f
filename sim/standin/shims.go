package standin

import "embed"

// Shims are the sources of the DLLs and programs below the folder shim, with
// build.sh, which builds them: an installed program has no checkout to build them from.
//
//go:embed shim
var Shims embed.FS
