/* bcryptprimitives.dll for versions of wine without one: programs built with
   a current Go need ProcessPrng to start. Because every such program loads it
   before anything else, it is also the place to mend wine for them. */
#include "winsock.h"

#include "adapters.h"

#include <ntsecapi.h>

BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
	while (size > 0) {
		ULONG n = size > 1 << 20 ? 1 << 20 : (ULONG)size;
		if (!RtlGenRandom(data, n))
			return FALSE;
		data += n;
		size -= n;
	}
	return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE dll, DWORD reason, void *reserved)
{
	(void)reserved;
	if (reason == DLL_PROCESS_ATTACH) {
		DisableThreadLibraryCalls(dll);
		hnsim_mend_winsock();
		hnsim_mend_adapters();
	}
	return TRUE;
}
