#include "client.h"

#include <objbase.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NULL_TEXT 0xFFFFFFFFu
#define MAX_REQUEST (16u << 20)
#define MAX_RESPONSE (256u << 20)
#define POOL 8

/* Idle connections. One stays open as long as the process lives: the server
   drops the handles of a session without connections. */
static SRWLOCK lock = SRWLOCK_INIT;
static SOCKET pool[POOL];
static int idle;
static uint64_t session;
static int started;

static char *put32(char *p, uint32_t v) { memcpy(p, &v, 4); return p + 4; }
static char *put64(char *p, uint64_t v) { memcpy(p, &v, 8); return p + 8; }

static char *put_text(char *p, PCWSTR s)
{
	uint32_t n;
	if (!s)
		return put32(p, NULL_TEXT);
	n = (uint32_t)wcslen(s) * 2;
	p = put32(p, n);
	memcpy(p, s, n);
	return p + n;
}

static int send_all(SOCKET s, const char *p, size_t n)
{
	while (n > 0) {
		int k = send(s, p, n > 1 << 20 ? 1 << 20 : (int)n, 0);
		if (k <= 0)
			return 0;
		p += k;
		n -= (size_t)k;
	}
	return 1;
}

static int recv_all(SOCKET s, char *p, size_t n)
{
	while (n > 0) {
		int k = recv(s, p, n > 1 << 20 ? 1 << 20 : (int)n, 0);
		if (k <= 0)
			return 0;
		p += k;
		n -= (size_t)k;
	}
	return 1;
}

/* Reads a frame; the caller frees it. */
static char *recv_frame(SOCKET s, uint32_t *size)
{
	char *body;
	if (!recv_all(s, (char *)size, 4) || *size > MAX_RESPONSE)
		return NULL;
	body = malloc(*size + 1);
	if (body && !recv_all(s, body, *size)) {
		free(body);
		body = NULL;
	}
	return body;
}

/* Reads where the server is: from the environment, or else from the file that
   HNSIM_STANDIN_FILE names, which holds the address and the token. */
static int settings(char *addr, char *token, size_t size)
{
	char path[MAX_PATH];
	FILE *f;
	int n;
	DWORD a = GetEnvironmentVariableA("HNSIM_STANDIN_ADDR", addr, (DWORD)size);
	DWORD t = GetEnvironmentVariableA("HNSIM_STANDIN_TOKEN", token, (DWORD)size);
	if (a > 0 && a < size && t > 0 && t < size)
		return 1;
	a = GetEnvironmentVariableA("HNSIM_STANDIN_FILE", path, sizeof path);
	if (a == 0 || a >= sizeof path || !(f = fopen(path, "r")))
		return 0;
	n = fscanf(f, "%255s %255s", addr, token);
	fclose(f);
	return n == 2;
}

static void start(void)
{
	WSADATA data;
	LARGE_INTEGER now;
	HMODULE self;
	AcquireSRWLockExclusive(&lock);
	if (!started) {
		/* Connections and callback threads outlive what the program loaded
		   the DLL for. */
		GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (LPCWSTR)(void *)&lock, &self);
		WSAStartup(MAKEWORD(2, 2), &data);
		QueryPerformanceCounter(&now);
		/* Both DLLs of a process have a session of their own: the address of
		   a variable tells them apart. */
		session = ((uint64_t)GetCurrentProcessId() << 32) ^ (uint64_t)now.QuadPart ^ (uint64_t)(uintptr_t)&session;
		started = 1;
	}
	ReleaseSRWLockExclusive(&lock);
}

static int parse(const char *b, uint32_t size, struct hnsim_response *r)
{
	uint32_t at = 21, n;
	int i, count;
	if (size < at)
		return 0;
	memcpy(&r->hr, b, 4);
	memcpy(&r->handle, b + 4, 8);
	memcpy(&r->number, b + 12, 8);
	count = (unsigned char)b[20];
	for (i = 0; i < count; i++) {
		if (size - at < 4)
			return 0;
		memcpy(&n, b + at, 4);
		at += 4;
		if (n == NULL_TEXT)
			continue;
		if (n > size - at)
			return 0;
		if (i < 2) {
			r->text[i] = CoTaskMemAlloc(n + 2);
			if (!r->text[i])
				return 0;
			memcpy(r->text[i], b + at, n);
			r->text[i][n / 2] = 0;
		}
		at += n;
	}
	return 1;
}

/* Reads a frame that is a response. */
static int recv_response(SOCKET s, struct hnsim_response *r)
{
	uint32_t size;
	char *body = recv_frame(s, &size);
	int ok = body && parse(body, size, r);
	free(body);
	return ok;
}

/* Greets the server. A refusal is in the response: it says what is wrong with
   the token or the host. */
static int greet(SOCKET s, const char *token, struct hnsim_response *r)
{
	WCHAR wtoken[256], host[256];
	char buf[2048], *p = buf + 4;
	DWORD h = GetEnvironmentVariableW(L"HNSIM_STANDIN_HOST", host, 256);
	if (!MultiByteToWideChar(CP_UTF8, 0, token, -1, wtoken, 256))
		return 0;
	memcpy(p, "HNS1", 4);
	p = put64(p + 4, session);
	p = put_text(p, wtoken);
	p = put_text(p, h > 0 && h < 256 ? host : NULL);
	put32(buf, (uint32_t)(p - buf - 4));
	return send_all(s, buf, (size_t)(p - buf)) && recv_response(s, r) && r->hr == 0;
}

/* Splits "address:port", an IPv6 address in brackets, and looks it up. */
static struct addrinfo *lookup(char *addr)
{
	struct addrinfo hints = {0}, *found = NULL;
	char *port = strrchr(addr, ':');
	if (!port)
		return NULL;
	*port = 0;
	if (*addr == '[' && port[-1] == ']') {
		port[-1] = 0;
		addr++;
	}
	hints.ai_flags = AI_NUMERICHOST;
	hints.ai_socktype = SOCK_STREAM;
	return getaddrinfo(addr, port + 1, &hints, &found) == 0 ? found : NULL;
}

static SOCKET connect_server(struct hnsim_response *r)
{
	char addr[256], token[256];
	struct addrinfo *to;
	int one = 1;
	SOCKET s = INVALID_SOCKET;
	if (!settings(addr, token, sizeof addr) || !(to = lookup(addr)))
		return s;
	s = socket(to->ai_family, SOCK_STREAM, IPPROTO_TCP);
	if (s != INVALID_SOCKET) {
		SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
		if (connect(s, to->ai_addr, (int)to->ai_addrlen) != 0 || !greet(s, token, r)) {
			closesocket(s);
			s = INVALID_SOCKET;
		}
	}
	freeaddrinfo(to);
	return s;
}

/* An idle connection has nothing to read unless the server has ended it. */
static int ended(SOCKET s)
{
	struct timeval none = {0, 0};
	fd_set set;
	FD_ZERO(&set);
	FD_SET(s, &set);
	return select(0, &set, NULL, NULL, &none) != 0;
}

static SOCKET take(struct hnsim_response *r)
{
	SOCKET s;
	start();
	for (;;) {
		s = INVALID_SOCKET;
		AcquireSRWLockExclusive(&lock);
		if (idle > 0)
			s = pool[--idle];
		ReleaseSRWLockExclusive(&lock);
		if (s == INVALID_SOCKET)
			return connect_server(r);
		if (!ended(s))
			return s;
		closesocket(s);
	}
}

static void give_back(SOCKET s)
{
	int kept = 0;
	AcquireSRWLockExclusive(&lock);
	if (idle < POOL) {
		pool[idle++] = s;
		kept = 1;
	}
	ReleaseSRWLockExclusive(&lock);
	if (!kept)
		closesocket(s);
}

static size_t text_size(PCWSTR s) { return 4 + (s ? wcslen(s) * 2 : 0); }

static char *build(const struct hnsim_request *q, size_t *size)
{
	size_t name = strlen(q->function), n = 4 + 8 + 8 + 16 + 1 + name + 1;
	char *frame, *p;
	int i;
	for (i = 0; i < q->texts; i++)
		n += text_size(q->text[i]);
	frame = malloc(n);
	if (!frame)
		return NULL;
	p = put32(frame, (uint32_t)(n - 4));
	p = put64(put64(p, q->handle), q->number);
	memset(p, 0, 16);
	if (q->guid)
		memcpy(p, q->guid, 16);
	p += 16;
	*p++ = (char)name;
	memcpy(p, q->function, name);
	p += name;
	*p++ = (char)q->texts;
	for (i = 0; i < q->texts; i++)
		p = put_text(p, q->text[i]);
	*size = n;
	return frame;
}

/* The server ends a connection that sends it a broken text. */
static int sound(PCWSTR s)
{
	for (; s && *s; s++) {
		if (*s < 0xD800 || *s > 0xDFFF)
			continue;
		if (*s > 0xDBFF || s[1] < 0xDC00 || s[1] > 0xDFFF)
			return 0;
		s++;
	}
	return 1;
}

static void clear(struct hnsim_response *r)
{
	hnsim_give(r->text[0], NULL);
	hnsim_give(r->text[1], NULL);
	memset(r, 0, sizeof *r);
}

/* Refuses a call without the server's help. */
static void refuse(struct hnsim_response *r, uint32_t hr, const char *why)
{
	char record[256];
	int n;
	clear(r);
	r->hr = hr;
	r->unserved = 1;
	snprintf(record, sizeof record, "{\"Success\":false,\"Error\":\"%s\",\"ErrorCode\":%u}", why, (unsigned)hr);
	n = (int)strlen(record) + 1;
	if ((r->text[1] = CoTaskMemAlloc((SIZE_T)n * 2)))
		MultiByteToWideChar(CP_UTF8, 0, record, n, r->text[1], n);
}

void hnsim_call(const struct hnsim_request *q, struct hnsim_response *r)
{
	char *frame;
	size_t size = 0;
	SOCKET s;
	int i, ok;
	memset(r, 0, sizeof *r);
	for (i = 0; i < q->texts; i++) {
		if (!sound(q->text[i])) {
			refuse(r, INVALID_ARGUMENT, "The parameter is incorrect. UTF-16 with half a pair");
			return;
		}
	}
	frame = build(q, &size);
	if (!frame || size - 4 > MAX_REQUEST) {
		free(frame);
		refuse(r, INVALID_ARGUMENT, "The parameter is incorrect. The texts are longer than 16 MB");
		return;
	}
	s = take(r);
	if (s == INVALID_SOCKET) {
		free(frame);
		r->unserved = 1;
		if (r->hr == 0)
			refuse(r, NO_SERVICE, "The interface is unknown. No stand-in of HNS answers at HNSIM_STANDIN_ADDR");
		return;
	}
	clear(r);
	ok = send_all(s, frame, size) && recv_response(s, r);
	free(frame);
	if (ok) {
		give_back(s);
		return;
	}
	closesocket(s);
	refuse(r, NO_SERVICE, "The interface is unknown. The stand-in of HNS has ended");
}

void hnsim_give(PWSTR text, PWSTR *slot)
{
	if (slot)
		*slot = text;
	else
		CoTaskMemFree(text);
}

uint32_t hnsim_probes(char *addr, uint32_t size)
{
	DWORD n = GetEnvironmentVariableA("HNSIM_STANDIN_PROBES", addr, size);
	return n < size ? n : 0;
}
