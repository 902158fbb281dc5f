#ifndef HNSIM_ADAPTERS_H
#define HNSIM_ADAPTERS_H

/* Makes GetAdaptersAddresses tell the names that interfaces have on Windows.
   Linux has no blanks in names, and 15 letters at most. */
void hnsim_mend_adapters(void);

#endif
