/* computenetwork.dll: the HCN functions, forwarded (contract A.2 and A.3). */
#include "client.h"

#include <objbase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* finish hands out the texts: on success the error slot is NULL (rule A4). */
static HR finish(struct hnsim_response *r, PWSTR *result, PWSTR *error)
{
	hnsim_give(r->text[0], result);
	hnsim_give(r->text[1], error);
	return r->hr;
}

/* no_out refuses a NULL pointer for a result. The error slot is written here
   too: callers free what they find in it (rule A4). */
static HR no_out(PWSTR *error)
{
	hnsim_give(NULL, error);
	return INVALID_ARGUMENT;
}

static HR ask(const char *fn, uint64_t h, PCWSTR text, PWSTR *out, PWSTR *error)
{
	struct hnsim_request q = {fn, h, 0, NULL, 1, {text}};
	struct hnsim_response r;
	if (!out)
		return no_out(error);
	hnsim_call(&q, &r);
	return finish(&r, out, error);
}

static HR tell(const char *fn, uint64_t h, PCWSTR text, PWSTR *error)
{
	struct hnsim_request q = {fn, h, 0, NULL, 1, {text}};
	struct hnsim_response r;
	hnsim_call(&q, &r);
	return finish(&r, NULL, error);
}

static HR create(const char *fn, uint64_t parent, const GUID *id, PCWSTR text, void **handle, PWSTR *error)
{
	struct hnsim_request q = {fn, parent, 0, id, 1, {text}};
	struct hnsim_response r;
	if (!handle)
		return no_out(error);
	hnsim_call(&q, &r);
	*handle = (void *)(uintptr_t)r.handle;
	return finish(&r, NULL, error);
}

static HR open_object(const char *fn, const GUID *id, void **handle, PWSTR *error)
{
	struct hnsim_request q = {fn, 0, 0, id, 0, {NULL}};
	struct hnsim_response r;
	if (!handle)
		return no_out(error);
	hnsim_call(&q, &r);
	*handle = (void *)(uintptr_t)r.handle;
	return finish(&r, NULL, error);
}

static HR delete_object(const char *fn, const GUID *id, PWSTR *error)
{
	struct hnsim_request q = {fn, 0, 0, id, 0, {NULL}};
	struct hnsim_response r;
	hnsim_call(&q, &r);
	return finish(&r, NULL, error);
}

static HR close_handle(const char *fn, void *handle)
{
	struct hnsim_request q = {fn, (uintptr_t)handle, 0, NULL, 0, {NULL}};
	struct hnsim_response r;
	hnsim_call(&q, &r);
	return finish(&r, NULL, NULL);
}

#define H(p) ((uint64_t)(uintptr_t)(p))

/* The functions that all families have in one shape. */
#define FAMILY(NAME, PLURAL) \
	HR WINAPI HcnEnumerate##PLURAL(PCWSTR q, PWSTR *ids, PWSTR *err) { return ask("HcnEnumerate" #PLURAL, 0, q, ids, err); } \
	HR WINAPI HcnOpen##NAME(const GUID *id, void **h, PWSTR *err) { return open_object("HcnOpen" #NAME, id, h, err); } \
	HR WINAPI HcnModify##NAME(void *h, PCWSTR s, PWSTR *err) { return tell("HcnModify" #NAME, H(h), s, err); } \
	HR WINAPI HcnQuery##NAME##Properties(void *h, PCWSTR q, PWSTR *out, PWSTR *err) { return ask("HcnQuery" #NAME "Properties", H(h), q, out, err); } \
	HR WINAPI HcnDelete##NAME(const GUID *id, PWSTR *err) { return delete_object("HcnDelete" #NAME, id, err); } \
	HR WINAPI HcnClose##NAME(void *h) { return close_handle("HcnClose" #NAME, h); }

#define CREATE(NAME) \
	HR WINAPI HcnCreate##NAME(const GUID *id, PCWSTR s, void **h, PWSTR *err) { return create("HcnCreate" #NAME, 0, id, s, h, err); }

FAMILY(Network, Networks)
CREATE(Network)
FAMILY(Endpoint, Endpoints)
FAMILY(Namespace, Namespaces)
CREATE(Namespace)
FAMILY(LoadBalancer, LoadBalancers)
CREATE(LoadBalancer)
FAMILY(SdnRoute, SdnRoutes)
CREATE(SdnRoute)
FAMILY(GuestNetworkService, GuestNetworkServices)
CREATE(GuestNetworkService)

HR WINAPI HcnCreateEndpoint(void *network, const GUID *id, PCWSTR s, void **h, PWSTR *err)
{
	return create("HcnCreateEndpoint", H(network), id, s, h, err);
}

HR WINAPI HcnQueryEndpointStats(void *h, PCWSTR q, PWSTR *out, PWSTR *err)
{
	return ask("HcnQueryEndpointStats", H(h), q, out, err);
}

HR WINAPI HcnQueryEndpointAddresses(void *h, PCWSTR q, PWSTR *out, PWSTR *err)
{
	return ask("HcnQueryEndpointAddresses", H(h), q, out, err);
}

HR WINAPI HcnOpenService(void **h, PWSTR *err) { return open_object("HcnOpenService", NULL, h, err); }
HR WINAPI HcnCloseService(void *h) { return close_handle("HcnCloseService", h); }

/* Callbacks: a thread for each fetches notifications until it is unregistered
   or the server has gone. */
typedef void(CALLBACK *callback)(DWORD, void *, HRESULT, PCWSTR);

#define SERVICE_DISCONNECT 0x01000000u

struct subscription {
	uint64_t handle;
	callback cb;
	void *context;
	HANDLE thread;
	DWORD thread_id;
	volatile LONG stopped;
	volatile LONG references; /* the thread and the list */
	struct subscription *next;
};

static SRWLOCK subscriptions_lock = SRWLOCK_INIT;
static struct subscription *subscriptions;

static void drop(struct subscription *sub)
{
	if (InterlockedDecrement(&sub->references) > 0)
		return;
	if (sub->thread)
		CloseHandle(sub->thread);
	free(sub);
}

static DWORD WINAPI listen_thread(void *arg)
{
	struct subscription *sub = arg;
	struct hnsim_request q = {"HnsimWaitNotification", sub->handle, 1000, NULL, 0, {NULL}};
	struct hnsim_response r;
	for (;;) {
		hnsim_call(&q, &r);
		if (r.hr == 0 && r.number != 0 && !sub->stopped)
			sub->cb((DWORD)r.number, sub->context, 0, r.text[0] ? r.text[0] : L"");
		hnsim_give(r.text[0], NULL);
		hnsim_give(r.text[1], NULL);
		if (r.hr != 0)
			break;
	}
	if (r.hr == NO_SERVICE && !sub->stopped)
		sub->cb(SERVICE_DISCONNECT, sub->context, 0, L"");
	drop(sub);
	return 0;
}

static HR subscribe(const char *fn, const char *undo, void *object, callback cb, void *context, void **out)
{
	struct hnsim_request q = {fn, H(object), 0, NULL, 0, {NULL}};
	struct hnsim_response r;
	struct subscription *sub;
	if (!cb || !out)
		return INVALID_ARGUMENT;
	*out = NULL;
	hnsim_call(&q, &r);
	if (r.hr != 0)
		return finish(&r, NULL, NULL);
	sub = calloc(1, sizeof *sub);
	if (sub) {
		sub->handle = r.handle;
		sub->cb = cb;
		sub->context = context;
		sub->references = 2;
		sub->thread = CreateThread(NULL, 0, listen_thread, sub, CREATE_SUSPENDED, &sub->thread_id);
	}
	if (!sub || !sub->thread) {
		free(sub);
		close_handle(undo, (void *)(uintptr_t)r.handle);
		return OUT_OF_MEMORY;
	}
	AcquireSRWLockExclusive(&subscriptions_lock);
	sub->next = subscriptions;
	subscriptions = sub;
	ReleaseSRWLockExclusive(&subscriptions_lock);
	*out = (void *)(uintptr_t)r.handle;
	ResumeThread(sub->thread);
	return finish(&r, NULL, NULL);
}

/* unsubscribe returns when no callback is running any more, unless it is called
   from one. */
static HR unsubscribe(const char *fn, void *handle)
{
	struct subscription *sub, **at;
	HR hr;
	AcquireSRWLockExclusive(&subscriptions_lock);
	for (at = &subscriptions; *at && (*at)->handle != H(handle); at = &(*at)->next)
		;
	if ((sub = *at))
		*at = sub->next;
	ReleaseSRWLockExclusive(&subscriptions_lock);
	if (sub)
		InterlockedExchange(&sub->stopped, 1);
	hr = close_handle(fn, handle);
	if (sub && sub->thread_id != GetCurrentThreadId())
		WaitForSingleObject(sub->thread, INFINITE);
	if (sub)
		drop(sub);
	return hr;
}

HR WINAPI HcnRegisterServiceCallback(callback cb, void *context, void **h)
{
	return subscribe("HcnRegisterServiceCallback", "HcnUnregisterServiceCallback", NULL, cb, context, h);
}

HR WINAPI HcnUnregisterServiceCallback(void *h) { return unsubscribe("HcnUnregisterServiceCallback", h); }

HR WINAPI HcnRegisterGuestNetworkServiceCallback(void *gns, callback cb, void *context, void **h)
{
	return subscribe("HcnRegisterGuestNetworkServiceCallback", "HcnUnregisterGuestNetworkServiceCallback", gns, cb, context, h);
}

HR WINAPI HcnUnregisterGuestNetworkServiceCallback(void *h)
{
	return unsubscribe("HcnUnregisterGuestNetworkServiceCallback", h);
}

static HR reserve(const char *fn, void *gns, uint64_t number, void **res, uint64_t *range)
{
	struct hnsim_request q = {fn, H(gns), number, NULL, 0, {NULL}};
	struct hnsim_response r;
	hnsim_call(&q, &r);
	*res = (void *)(uintptr_t)r.handle;
	*range = r.number;
	return finish(&r, NULL, NULL);
}

HR WINAPI HcnReserveGuestNetworkServicePort(void *gns, int protocol, int access, USHORT port, void **res)
{
	uint64_t range;
	if (!res)
		return INVALID_ARGUMENT;
	return reserve("HcnReserveGuestNetworkServicePort", gns,
		       (uint64_t)(uint8_t)protocol | (uint64_t)(uint8_t)access << 8 | (uint64_t)port << 16, res, &range);
}

struct port_range {
	USHORT first, last;
};

HR WINAPI HcnReserveGuestNetworkServicePortRange(void *gns, USHORT count, struct port_range *out, void **res)
{
	uint64_t range;
	HR hr;
	if (!out || !res)
		return INVALID_ARGUMENT;
	hr = reserve("HcnReserveGuestNetworkServicePortRange", gns, count, res, &range);
	out->first = (USHORT)range;
	out->last = (USHORT)(range >> 16);
	return hr;
}

HR WINAPI HcnReleaseGuestNetworkServicePortReservationHandle(void *res)
{
	return close_handle("HcnReleaseGuestNetworkServicePortReservationHandle", res);
}

struct port_entry {
	GUID owner, target;
	int protocol;
	UINT64 priority;
	UINT32 type, sharing, delivery;
	UINT16 first, last;
};

HR WINAPI HcnEnumerateGuestNetworkPortReservations(ULONG *count, struct port_entry **entries)
{
	struct hnsim_request q = {"HcnEnumerateGuestNetworkPortReservations", 0, 0, NULL, 0, {NULL}};
	struct hnsim_response r;
	struct port_entry *list = NULL;
	ULONG n = 0;
	WCHAR *line;
	if (!count || !entries)
		return INVALID_ARGUMENT;
	hnsim_call(&q, &r);
	if (r.hr == 0 && r.number > 0 && r.text[0])
		list = calloc(r.number, sizeof *list);
	if (r.hr == 0 && r.number > 0 && !list)
		r.hr = OUT_OF_MEMORY;
	/* Lines of "service protocol first last". */
	for (line = r.text[0]; list && n < r.number && line && *line; n++) {
		WCHAR id[40];
		unsigned protocol, first, last;
		if (swscanf(line, L"%36ls %u %u %u", id + 1, &protocol, &first, &last) != 4)
			break;
		id[0] = '{';
		wcscat(id, L"}");
		CLSIDFromString(id, &list[n].owner);
		list[n].target = list[n].owner;
		list[n].protocol = (int)protocol;
		list[n].first = (UINT16)first;
		list[n].last = (UINT16)last;
		if ((line = wcschr(line, '\n')))
			line++;
	}
	*count = n;
	*entries = list;
	return finish(&r, NULL, NULL);
}

void WINAPI HcnFreeGuestNetworkPortReservations(struct port_entry *entries) { free(entries); }

/* By this export, which Windows' DLL does not have, programs of hnsim know the
   stand-in. */
__declspec(dllexport) uint32_t HnsimProbes(char *addr, uint32_t size)
{
	return hnsim_probes(addr, size);
}
