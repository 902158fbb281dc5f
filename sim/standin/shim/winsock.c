/* Go asks every UDP socket not to report ICMP errors on receive, and gives the
   socket up when that is refused. Wine 8 refuses SIO_UDP_NETRESET with
   WSAEOPNOTSUPP, although it never reports such errors. The answer is changed
   to success. */
#include "winsock.h"

#include "patch.h"

#define UDP_CONNRESET 0x9800000Cu
#define UDP_NETRESET 0x9800000Fu

typedef int(WSAAPI *ioctl_fn)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD, LPDWORD, LPWSAOVERLAPPED,
			      LPWSAOVERLAPPED_COMPLETION_ROUTINE);

static ioctl_fn real_ioctl;

static int WSAAPI mended_ioctl(SOCKET s, DWORD code, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size,
			       LPDWORD returned, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
	int r = real_ioctl(s, code, in, in_size, out, out_size, returned, overlapped, done);
	if (r == 0 || (code != UDP_NETRESET && code != UDP_CONNRESET) || overlapped || WSAGetLastError() != WSAEOPNOTSUPP)
		return r;
	if (returned)
		*returned = 0;
	WSASetLastError(0);
	return 0;
}

void hnsim_mend_winsock(void)
{
	real_ioctl = (ioctl_fn)hnsim_redirect(L"ws2_32.dll", "WSAIoctl", (void *)mended_ioctl);
}
