#ifndef HNSIM_PATCH_H
#define HNSIM_PATCH_H

#include <windows.h>

/* Makes GetProcAddress answer ours for an exported function of a module that is
   loaded. Returns the real function, or NULL, and then nothing has changed.

   Programs that import the function by name keep the real one; Go finds its
   functions with GetProcAddress. */
void *hnsim_redirect(const WCHAR *module, const char *name, void *ours);

#endif
