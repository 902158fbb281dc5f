#include "client.h"

#include <objbase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SERVICE 0x800706B5u
#define NULL_TEXT 0xFFFFFFFFu
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
	AcquireSRWLockExclusive(&lock);
	if (!started) {
		WSAStartup(MAKEWORD(2, 2), &data);
		QueryPerformanceCounter(&now);
		/* Both DLLs of a process have a session of their own: the address of
		   a variable tells them apart. */
		session = ((uint64_t)GetCurrentProcessId() << 32) ^ (uint64_t)now.QuadPart ^ (uint64_t)(uintptr_t)&session;
		started = 1;
	}
	ReleaseSRWLockExclusive(&lock);
}

static int greet(SOCKET s, const char *token)
{
	WCHAR wtoken[256], host[256];
	char buf[2048], *p = buf + 4, *body;
	uint32_t size, hr = 1;
	DWORD h = GetEnvironmentVariableW(L"HNSIM_STANDIN_HOST", host, 256);
	if (!MultiByteToWideChar(CP_UTF8, 0, token, -1, wtoken, 256))
		return 0;
	memcpy(p, "HNS1", 4);
	p = put64(p + 4, session);
	p = put_text(p, wtoken);
	p = put_text(p, h > 0 && h < 256 ? host : NULL);
	put32(buf, (uint32_t)(p - buf - 4));
	if (!send_all(s, buf, (size_t)(p - buf)) || !(body = recv_frame(s, &size)))
		return 0;
	if (size >= 4)
		memcpy(&hr, body, 4);
	free(body);
	return hr == 0;
}

static SOCKET connect_server(void)
{
	char addr[256], token[256], *colon;
	struct sockaddr_in to = {0};
	int one = 1;
	SOCKET s;
	start();
	if (!settings(addr, token, sizeof addr) || !(colon = strrchr(addr, ':')))
		return INVALID_SOCKET;
	*colon = 0;
	to.sin_family = AF_INET;
	to.sin_port = htons((u_short)atoi(colon + 1));
	to.sin_addr.s_addr = inet_addr(addr);
	s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	if (s == INVALID_SOCKET)
		return s;
	SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
	if (connect(s, (struct sockaddr *)&to, sizeof to) == 0 && greet(s, token))
		return s;
	closesocket(s);
	return INVALID_SOCKET;
}

static SOCKET take(void)
{
	SOCKET s = INVALID_SOCKET;
	AcquireSRWLockExclusive(&lock);
	if (idle > 0)
		s = pool[--idle];
	ReleaseSRWLockExclusive(&lock);
	return s == INVALID_SOCKET ? connect_server() : s;
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

void hnsim_call(const struct hnsim_request *q, struct hnsim_response *r)
{
	char *frame, *body = NULL;
	size_t size = 0;
	uint32_t n;
	SOCKET s = take();
	memset(r, 0, sizeof *r);
	frame = build(q, &size);
	if (s != INVALID_SOCKET && frame && send_all(s, frame, size))
		body = recv_frame(s, &n);
	free(frame);
	if (body && parse(body, n, r)) {
		give_back(s);
	} else {
		hnsim_give(r->text[0], NULL);
		hnsim_give(r->text[1], NULL);
		memset(r, 0, sizeof *r);
		r->hr = NO_SERVICE;
		if (s != INVALID_SOCKET)
			closesocket(s);
	}
	free(body);
}

void hnsim_give(PWSTR text, PWSTR *slot)
{
	if (slot)
		*slot = text;
	else
		CoTaskMemFree(text);
}
