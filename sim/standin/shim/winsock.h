#ifndef HNSIM_WINSOCK_H
#define HNSIM_WINSOCK_H

#include <winsock2.h>
#include <windows.h>

/* Makes the sockets of this process accept two requests that Go makes on every
   UDP socket and that wine refuses. Failing that, nothing has changed. */
void hnsim_mend_winsock(void);

#endif
