/* HNSCall (A.5, A.6), callbacks and guest network services (A.3), and the Hcs
   functions that v1 attach calls. */
#include "check.h"

#include <objbase.h>
#include <stdio.h>
#include <string.h>

void check_v1(void)
{
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	ask_fn enumerate = hcn("HcnEnumerateNetworks");
	PWSTR text = POISON;
	WANT(call(L"GET", L"/globals/version", NULL, &text), OK);
	TEXT_HAS(text, L"{\"Success\":true,\"Output\":{\"Major\":");
	WANT(call(L"GET", L"/networks/", L"", &text), OK);
	TEXT_HAS(text, L"\"Output\":[]");
	WANT(call(L"POST", L"/networks/", L"{\"Name\":\"n\",\"Type\":\"nat\"}", &text), OK);
	TEXT_HAS(text, L"\"Success\":true");
	WANT(call(L"POST", L"/networks/", L"{\"Name\":\"n\",\"Type\":\"nat\"}", &text), OK);
	TEXT_HAS(text, L"\"ErrorCode\":2151350288}");
	WANT(call(L"GET", L"/endpoints/" OTHER_ID, L"", &text), OK);
	TEXT_HAS(text, L"The endpoint was not found. ");
	WANT(enumerate(L"{\"Filter\":\"{\\\"Name\\\":\\\"n\\\"}\"}", &text, NULL), OK);
	CHECK(text && wcslen(text) == 40, "v2 sees %ls of a network made through v1", text);
	WANT(call(L"GET", L"/networks/", L"", NULL), INVALID_ARGUMENT);
}

/* Notifications that a callback received, as text. */
struct heard {
	SRWLOCK lock;
	WCHAR log[4000];
	int running;
	void *own; /* unregistered by the callback itself when set */
};

static close_fn unregister_service;

static void CALLBACK hear(DWORD type, void *context, HRESULT status, PCWSTR data)
{
	struct heard *h = context;
	AcquireSRWLockExclusive(&h->lock);
	h->running++;
	swprintf(h->log + wcslen(h->log), 300, L"%x %ld %.200ls\n", type, status, data ? data : L"(null)");
	ReleaseSRWLockExclusive(&h->lock);
	if (h->own)
		WANT(unregister_service(h->own), OK);
	Sleep(20);
	AcquireSRWLockExclusive(&h->lock);
	h->running--;
	ReleaseSRWLockExclusive(&h->lock);
}

static int has(struct heard *h, PCWSTR part)
{
	int found;
	AcquireSRWLockExclusive(&h->lock);
	found = wcsstr(h->log, part) != NULL;
	ReleaseSRWLockExclusive(&h->lock);
	return found;
}

/* Waits for a notification, five seconds at most. */
static void expect(struct heard *h, PCWSTR part)
{
	int i;
	for (i = 0; i < 500 && !has(h, part); i++)
		Sleep(10);
	CHECK(has(h, part), "no notification with %ls in:\n%ls", part, h->log);
}

void check_callbacks(void)
{
	HR(WINAPI *subscribe)(void *, void *, void **) = hcn("HcnRegisterServiceCallback");
	delete_fn delete_network = hcn("HcnDeleteNetwork");
	create_fn create_namespace = hcn("HcnCreateNamespace");
	modify_fn modify_namespace = hcn("HcnModifyNamespace");
	delete_fn delete_namespace = hcn("HcnDeleteNamespace");
	static struct heard all, once;
	void *h = NULL, *h2 = NULL, *network, *endpoint, *ns = NULL;
	size_t before;
	unregister_service = hcn("HcnUnregisterServiceCallback");
	WANT(subscribe(NULL, NULL, &h), INVALID_ARGUMENT);
	WANT(subscribe(hear, &all, NULL), INVALID_ARGUMENT);
	WANT(subscribe(hear, &all, &h), OK);
	WANT(subscribe(hear, &once, &h2), OK);
	CHECK(h && h2 && h != h2, "handles %p and %p", h, h2);
	once.own = h2;
	make_network(&network, &endpoint);
	expect(&all, L"1 0 {\"ID\":\"" NETWORK_ID L"\",\"Flags\":0}");
	expect(&all, L"2 0 {\"ID\":\"" NETWORK_ID L"\",\"Flags\":0}");
	WANT(create_namespace(&other_id, L"{\"Type\":\"Host\"}", &ns, NULL), OK);
	expect(&all, L"5 0 {\"ID\":\"" OTHER_ID L"\"");
	WANT(modify_namespace(ns, L"{\"ResourceType\":\"Endpoint\",\"RequestType\":\"Add\",\"Settings\":{\"EndpointId\":\"" ENDPOINT_ID L"\"}}", NULL), OK);
	WANT(modify_namespace(ns, L"{\"ResourceType\":\"Endpoint\",\"RequestType\":\"Remove\",\"Settings\":{\"EndpointId\":\"" ENDPOINT_ID L"\"}}", NULL), OK);
	WANT(delete_namespace(&other_id, NULL), OK);
	expect(&all, L"6 0 {\"ID\":\"" OTHER_ID L"\"");
	WANT(delete_network(&network_id, NULL), OK);
	expect(&all, L"3 0 {\"ID\":\"" NETWORK_ID L"\"");
	expect(&all, L"4 0 {\"ID\":\"" NETWORK_ID L"\"");
	CHECK(wcschr(once.log, '\n') && !wcschr(wcschr(once.log, '\n') + 1, '\n'), "a callback that unregistered itself heard:\n%ls", once.log);

	make_network(&network, &endpoint); /* its notifications are under way */
	WANT(unregister_service(h), OK);
	before = wcslen(all.log);
	CHECK(!all.running, "a callback was running when its registration ended");
	WANT(delete_network(&network_id, NULL), OK);
	Sleep(200);
	CHECK(wcslen(all.log) == before, "after it was unregistered it heard %ls", all.log + before);
	WANT(unregister_service(h), INVALID_HANDLE);
	WANT(unregister_service(NULL), INVALID_HANDLE);
}

struct port_range {
	USHORT first, last;
};

/* HCN_PORT_RANGE_ENTRY (A.3). */
struct port_entry {
	GUID owner, target;
	int protocol;
	UINT64 priority;
	UINT32 type, sharing, delivery;
	UINT16 first, last;
};

enum { TCP = 1, UDP = 2, BOTH = 3, EXCLUSIVE = 1, SHARED = 2, PORT_EXISTS = (int)0x803B0013 };

static void check_ports(void *gns)
{
	HR(WINAPI *reserve)(void *, int, int, USHORT, void **) = hcn("HcnReserveGuestNetworkServicePort");
	HR(WINAPI *reserve_range)(void *, USHORT, struct port_range *, void **) = hcn("HcnReserveGuestNetworkServicePortRange");
	close_fn release = hcn("HcnReleaseGuestNetworkServicePortReservationHandle");
	HR(WINAPI *list)(ULONG *, struct port_entry **) = hcn("HcnEnumerateGuestNetworkPortReservations");
	void(WINAPI *release_list)(struct port_entry *) = hcn("HcnFreeGuestNetworkPortReservations");
	struct port_range range = {0, 0};
	struct port_entry *entries = NULL;
	void *a = NULL, *b = NULL, *c = NULL;
	ULONG n = 7;
	WANT(list(&n, &entries), OK);
	CHECK(n == 0, "%lu reservations before the first", n);
	release_list(entries);
	WANT(reserve(gns, TCP, EXCLUSIVE, 8080, &a), OK);
	WANT(reserve(gns, UDP, SHARED, 8080, &b), OK);
	WANT(reserve(gns, BOTH, SHARED, 8080, &c), (uint32_t)PORT_EXISTS);
	CHECK(!c, "a failed reservation left the handle %p", c);
	WANT(reserve(gns, TCP, EXCLUSIVE, 8080, NULL), INVALID_ARGUMENT);
	WANT(reserve(gns, 4, EXCLUSIVE, 8081, &c), INVALID_ARGUMENT);
	WANT(reserve_range(gns, 100, &range, &c), OK);
	CHECK(range.first && range.last - range.first == 99, "a range of 100 is %u-%u", range.first, range.last);
	WANT(reserve_range(gns, 100, NULL, &c), INVALID_ARGUMENT);
	WANT(list(&n, &entries), OK);
	CHECK(n == 3, "%lu reservations, want 3", n);
	if (n == 3) {
		CHECK(entries[0].first == 8080 && entries[0].last == 8080 && entries[0].protocol == TCP, "the first is %u-%u", entries[0].first, entries[0].last);
		CHECK(entries[1].protocol == UDP, "the second has protocol %d", entries[1].protocol);
		CHECK(entries[2].first == range.first && entries[2].last == range.last && entries[2].protocol == BOTH, "the third is %u-%u", entries[2].first, entries[2].last);
		CHECK(IsEqualGUID(&entries[2].owner, &other_id), "the owner is another");
	}
	release_list(entries);
	release_list(NULL);
	WANT(list(NULL, &entries), INVALID_ARGUMENT);
	WANT(list(&n, NULL), INVALID_ARGUMENT);
	WANT(release(a), OK);
	WANT(release(a), INVALID_HANDLE);
	WANT(reserve(gns, TCP, EXCLUSIVE, 8080, &a), OK);
}

/* A list for which there is no memory is no list of nothing. */
void check_memory(void)
{
	HR(WINAPI *list)(ULONG *, struct port_entry **) = hcn("HcnEnumerateGuestNetworkPortReservations");
	struct port_entry *entries = (struct port_entry *)POISON;
	ULONG n = 7;
	WANT(list(&n, &entries), OUT_OF_MEMORY);
	CHECK(n == 0 && !entries, "%lu reservations at %p", n, (void *)entries);
}

void check_guests(void)
{
	ask_fn enumerate = hcn("HcnEnumerateGuestNetworkServices");
	create_fn create = hcn("HcnCreateGuestNetworkService");
	open_fn open = hcn("HcnOpenGuestNetworkService");
	modify_fn modify = hcn("HcnModifyGuestNetworkService");
	query_fn query = hcn("HcnQueryGuestNetworkServiceProperties");
	delete_fn remove = hcn("HcnDeleteGuestNetworkService");
	close_fn close = hcn("HcnCloseGuestNetworkService");
	HR(WINAPI *subscribe)(void *, void *, void *, void **) = hcn("HcnRegisterGuestNetworkServiceCallback");
	close_fn unsubscribe = hcn("HcnUnregisterGuestNetworkServiceCallback");
	static struct heard heard;
	void *h = NULL, *h2 = NULL, *sub = NULL;
	PWSTR text, error = POISON;
	WANT(create(&other_id, L"{\"Name\":\"g\"}", &h, &error), OK);
	CHECK(!error && h, "create left error %p, handle %p", (void *)error, h);
	WANT(create(&other_id, L"{}", &h2, &error), 0x800700B7);
	RECORD_IS(error, 0x800700B7);
	WANT(enumerate(L"", &text, NULL), OK);
	TEXT_HAS(text, L"[\"" OTHER_ID L"\"]");
	WANT(subscribe(NULL, hear, &heard, &sub), INVALID_HANDLE);
	WANT(subscribe(h, hear, &heard, &sub), OK);
	WANT(modify(h, L"{\"ResourceType\":\"State\",\"RequestType\":\"Update\",\"Settings\":{\"State\":\"Synchronized\"}}", NULL), OK);
	expect(&heard, L"11 0 {\"Data\":{\"State\":\"Synchronized\"}");
	WANT(query(h, V2, &text, NULL), OK);
	TEXT_HAS(text, L"\"State\":3");
	check_ports(h);
	WANT(open(&other_id, &h2, NULL), OK);
	WANT(close(h2), OK);
	WANT(remove(&other_id, NULL), OK);
	expect(&heard, L"8 0 {");
	WANT(unsubscribe(sub), OK);
	WANT(remove(&other_id, &error), 0x80070490);
	RECORD_IS(error, 0x80070490);
	WANT(query(h, V2, &text, NULL), 0x803B0031);
	WANT(close(h), OK);
}

static void CALLBACK compute_callback(DWORD type, void *context, HRESULT status, PCWSTR data)
{
	(void)type, (void)context, (void)status, (void)data;
}

/* The calls of v1 attach, in its order, for a container that is absent and for
   one that runs. */
void check_compute(void)
{
	HR(WINAPI *open)(PCWSTR, void **, PWSTR *) = hcs("HcsOpenComputeSystem");
	HR(WINAPI *subscribe)(void *, void *, void *, void **) = hcs("HcsRegisterComputeSystemCallback");
	query_fn properties = hcs("HcsGetComputeSystemProperties");
	modify_fn modify = hcs("HcsModifyComputeSystem");
	close_fn unsubscribe = hcs("HcsUnregisterComputeSystemCallback"), close = hcs("HcsCloseComputeSystem");
	HR(WINAPI *call)(PCWSTR, PCWSTR, PCWSTR, PWSTR *) = hcs("HNSCall");
	ask_fn enumerate = hcs("HcsEnumerateComputeSystems");
	void *network, *endpoint, *system = NULL, *sub = NULL;
	PWSTR text, result = POISON;
	make_network(&network, &endpoint);
	WANT(open(L"absent", &system, &result), 0xC037010E);
	CHECK(!system, "a failed open left the handle %p", system);
	TEXT_HAS(result, L"{\"Error\":-1070137074,"); /* an int32, as hcsshim reads it */
	result = POISON;
	WANT(open(L"c1", &system, &result), OK);
	CHECK(!result && system, "open left result %p, handle %p", (void *)result, system);
	WANT(subscribe(system, NULL, NULL, &sub), INVALID_ARGUMENT);
	WANT(subscribe(NULL, compute_callback, NULL, &sub), INVALID_HANDLE);
	WANT(subscribe(system, compute_callback, NULL, &sub), OK);
	result = POISON;
	WANT(properties(system, L"{\"PropertyTypes\":[]}", &text, &result), OK);
	CHECK(!result, "properties left result %p", (void *)result);
	TEXT_HAS(text, L"\"SystemType\":\"Container\"");
	result = POISON;
	WANT(modify(system, L"{\"ResourceType\":\"Network\",\"Settings\":\"" ENDPOINT_ID L"\",\"RequestType\":\"Add\"}", &result), OK);
	CHECK(!result, "modify left result %p", (void *)result);
	WANT(call(L"GET", L"/endpoints/" ENDPOINT_ID, L"", &text), OK);
	TEXT_HAS(text, L"\"SharedContainers\":[\"c1\"]");
	WANT(modify(system, L"{\"ResourceType\":\"Network\",\"Settings\":\"" ENDPOINT_ID L"\",\"RequestType\":\"Remove\"}", NULL), OK);
	WANT(call(L"GET", L"/endpoints/" ENDPOINT_ID, L"", &text), OK);
	TEXT_HAS(text, L"\"SharedContainers\":[]");
	WANT(modify(system, L"{\"ResourceType\":\"Network\",\"Settings\":\"" OTHER_ID L"\",\"RequestType\":\"Add\"}", &result), 0x803B0002);
	TEXT_HAS(result, L"{\"Error\":-2143617022,");
	WANT(enumerate(L"", &text, &result), OK);
	TEXT_HAS(text, L"\"Id\":\"c1\"");
	WANT(unsubscribe(sub), OK);
	WANT(unsubscribe(sub), INVALID_HANDLE);
	WANT(close(system), OK);
	WANT(close(system), INVALID_HANDLE);
}
