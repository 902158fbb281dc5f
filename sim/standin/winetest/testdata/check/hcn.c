/* The five families of HCN functions (section A.2) and the conventions of their
   parameters (A.1, D.3). */
#include "check.h"

#include <objbase.h>
#include <stdio.h>
#include <string.h>

/* What the families differ in. */
struct family {
	const char *name, *plural;
	PCWSTR settings, change; /* change NULL: modify has nothing that succeeds */
	uint32_t missing;	 /* answer for an unknown id */
};

#define SCHEMA L"\"SchemaVersion\":{\"Major\":2,\"Minor\":0}}"
#define BALANCER(port) \
	L"{\"HostComputeEndpoints\":[\"" ENDPOINT_ID L"\"],\"FrontendVIPs\":[\"10.1.1.1\"]," \
	L"\"PortMappings\":[{\"Protocol\":6,\"InternalPort\":80,\"ExternalPort\":" port L"}]," SCHEMA

static const struct family families[] = {
	{"Network", "Networks", L"{\"Name\":\"m\",\"Type\":\"NAT\"," SCHEMA,
	 L"{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\"Settings\":{\"Suffix\":\"x.y\"}}", 0x803B0001},
	{"Endpoint", "Endpoints", L"{\"Name\":\"f\"," SCHEMA,
	 L"{\"ResourceType\":\"Policy\",\"RequestType\":\"Update\",\"Settings\":{\"Policies\":[]}}", 0x803B0002},
	{"Namespace", "Namespaces", L"{\"Type\":\"Host\"," SCHEMA,
	 L"{\"ResourceType\":\"Endpoint\",\"RequestType\":\"Add\",\"Settings\":{\"EndpointId\":\"" ENDPOINT_ID L"\"}}", 0x80070490},
	{"LoadBalancer", "LoadBalancers", BALANCER(L"81"), BALANCER(L"82"), 0x80070490},
	{"SdnRoute", "SdnRoutes",
	 L"{\"HostComputeEndpoints\":[\"" ENDPOINT_ID L"\"],\"Routes\":[{\"NextHop\":\"10.1.1.9\",\"DestinationPrefix\":\"10.3.0.0/16\",\"NeedEncap\":true}]," SCHEMA,
	 NULL, 0x80070490},
};

static void *network;

/* The functions of a family. */
struct functions {
	ask_fn enumerate;
	create_fn create; /* for endpoints create_in is used */
	create_in_fn create_in;
	open_fn open;
	modify_fn modify;
	query_fn query;
	delete_fn remove;
	close_fn close;
};

static void *member(const char *verb, const char *name, const char *rest)
{
	char full[64];
	snprintf(full, sizeof full, "Hcn%s%s%s", verb, name, rest);
	return hcn(full);
}

static void load(const struct family *f, struct functions *fn)
{
	memset(fn, 0, sizeof *fn);
	fn->enumerate = member("Enumerate", f->plural, "");
	if (strcmp(f->name, "Endpoint") == 0)
		fn->create_in = member("Create", f->name, "");
	else
		fn->create = member("Create", f->name, "");
	fn->open = member("Open", f->name, "");
	fn->modify = member("Modify", f->name, "");
	fn->query = member("Query", f->name, "Properties");
	fn->remove = member("Delete", f->name, "");
	fn->close = member("Close", f->name, "");
}

static HR create(const struct functions *fn, const GUID *id, PCWSTR settings, void **handle, PWSTR *error)
{
	return fn->create ? fn->create(id, settings, handle, error) : fn->create_in(network, id, settings, handle, error);
}

/* Success: NULL in the error slot whatever it held (A4), a result that is not
   NULL (A5), and the error slot may be NULL. */
static void check_success(const struct family *f, const struct functions *fn)
{
	void *h = NULL, *h2 = NULL;
	PWSTR text = POISON, error = POISON;
	WANT(create(fn, &other_id, f->settings, &h, &error), OK);
	CHECK(!error && h, "%s: create left error %p, handle %p", f->name, (void *)error, h);
	error = POISON;
	WANT(fn->open(&other_id, &h2, &error), OK);
	CHECK(!error && h2 && h2 != h, "%s: open left error %p, handle %p", f->name, (void *)error, h2);
	error = POISON;
	WANT(fn->enumerate(V2, &text, &error), OK);
	CHECK(!error, "%s: enumerate left error %p", f->name, (void *)error);
	TEXT_HAS(text, L"\"" OTHER_ID L"\"");
	WANT(fn->enumerate(L"{\"Filter\":\"{\\\"ID\\\":\\\"\\\"}\"}", &text, NULL), OK);
	TEXT_HAS(text, L"[]");
	error = text = POISON;
	WANT(fn->query(h2, L"", &text, &error), OK);
	CHECK(!error, "%s: query left error %p", f->name, (void *)error);
	TEXT_HAS(text, OTHER_ID);
	WANT(fn->query(h2, NULL, &text, NULL), OK); /* NULL is the empty text (A2) */
	TEXT_HAS(text, OTHER_ID);
	error = POISON;
	if (f->change) {
		WANT(fn->modify(h2, f->change, &error), OK);
		CHECK(!error, "%s: modify left error %p", f->name, (void *)error);
	}
	WANT(fn->close(h2), OK);
	error = POISON;
	WANT(fn->remove(&other_id, &error), OK);
	CHECK(!error, "%s: delete left error %p", f->name, (void *)error);
	WANT(fn->query(h, V2, &text, NULL), 0x803B0031); /* deleted under an open handle */
	WANT(fn->close(h), OK);
}

/* Failure: the code in 32 bits, the error record, and no result. */
static void check_failure(const struct family *f, const struct functions *fn)
{
	void *h = (void *)POISON;
	PWSTR text = POISON, error = POISON;
	WANT(fn->open(&other_id, &h, &error), f->missing);
	CHECK(!h, "%s: a failed open left the handle %p", f->name, h);
	RECORD_IS(error, f->missing);
	WANT(fn->open(&other_id, &h, NULL), f->missing);
	WANT(fn->remove(&other_id, &error), f->missing);
	RECORD_IS(error, f->missing);
	WANT(fn->remove(&other_id, NULL), f->missing);
	WANT(fn->enumerate(L"{", &text, &error), 0x803B001B);
	CHECK(!text, "%s: a failed enumerate left a result", f->name);
	RECORD_IS(error, 0x803B001B);
	WANT(create(fn, &other_id, L"{\"Name\":", &h, &error), 0x803B001B);
	CHECK(!h, "%s: a failed create left the handle %p", f->name, h);
	RECORD_IS(error, 0x803B001B);
}

/* Handles that are none (D.3 48), out parameters that are NULL (D.3 49). */
static void check_misuse(const struct family *f, const struct functions *fn)
{
	void *bad[] = {NULL, (void *)(uintptr_t)0x7, (void *)(intptr_t)-1};
	void *h = NULL;
	PWSTR text, error;
	size_t i;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		text = error = POISON;
		WANT(fn->query(bad[i], V2, &text, &error), INVALID_HANDLE);
		CHECK(!text, "%s: a failed query left a result", f->name);
		RECORD_IS(error, INVALID_HANDLE);
		WANT(fn->modify(bad[i], L"{}", NULL), INVALID_HANDLE);
		WANT(fn->close(bad[i]), INVALID_HANDLE);
	}
	error = POISON;
	WANT(fn->enumerate(V2, NULL, &error), INVALID_ARGUMENT);
	CHECK(!error, "%s: a slot that callers free was left at %p", f->name, (void *)error);
	WANT(create(fn, &other_id, f->settings, NULL, NULL), INVALID_ARGUMENT);
	WANT(fn->open(&other_id, &h, NULL), f->missing); /* nothing was created */
	error = POISON;
	WANT(fn->open(&other_id, NULL, &error), INVALID_ARGUMENT);
	CHECK(!error, "%s: a slot that callers free was left at %p", f->name, (void *)error);
	WANT(create(fn, &other_id, f->settings, &h, NULL), OK);
	error = POISON;
	WANT(fn->query(h, V2, NULL, &error), INVALID_ARGUMENT);
	CHECK(!error, "%s: a slot that callers free was left at %p", f->name, (void *)error);
	WANT(fn->close(h), OK);
	WANT(fn->query(h, V2, &text, NULL), INVALID_HANDLE); /* closed */
	WANT(fn->close(h), INVALID_HANDLE);
	WANT(fn->remove(&other_id, NULL), OK);
}

void check_families(void)
{
	void *endpoint;
	size_t i;
	make_network(&network, &endpoint);
	for (i = 0; i < sizeof families / sizeof *families; i++) {
		struct functions fn;
		load(&families[i], &fn);
		check_success(&families[i], &fn);
		check_failure(&families[i], &fn);
		check_misuse(&families[i], &fn);
	}
}

/* Who an object is (A7), and the functions of endpoints that no Go client
   uses. */
void check_identity(void)
{
	const GUID zero = {0};
	create_fn create_network = hcn("HcnCreateNetwork");
	create_in_fn create_endpoint = hcn("HcnCreateEndpoint");
	open_fn open = hcn("HcnOpenEndpoint");
	query_fn query = hcn("HcnQueryEndpointProperties");
	query_fn stats = hcn("HcnQueryEndpointStats"), addresses = hcn("HcnQueryEndpointAddresses");
	HR(WINAPI *open_service)(void **, PWSTR *) = hcn("HcnOpenService");
	close_fn close_service = hcn("HcnCloseService");
	void *endpoint, *h = NULL, *service = NULL;
	PWSTR text, error = POISON;
	make_network(&network, &endpoint); /* the argument, with no ID in the document */
	WANT(create_endpoint(network, &zero, L"{\"ID\":\"" OTHER_ID L"\"," SCHEMA, &h, NULL), OK);
	WANT(query(h, V2, &text, NULL), OK);
	TEXT_HAS(text, L"\"ID\":\"" OTHER_ID L"\"");
	WANT(open(&other_id, &h, NULL), OK);
	WANT(create_network(NULL, L"{\"Name\":\"o\",\"Type\":\"NAT\"," SCHEMA, &h, NULL), OK); /* NULL is the zero GUID */
	WANT(create_endpoint(h, NULL, L"{" SCHEMA, &h, NULL), OK);
	WANT(query(h, V2, &text, NULL), OK);
	CHECK(text && !wcsstr(text, L"\"ID\":\"00000000-"), "an object with the zero GUID: %ls", text);
	WANT(stats(h, L"", &text, NULL), OK);
	TEXT_HAS(text, L"\"BytesSent\":0");
	WANT(addresses(h, L"", &text, NULL), OK);
	TEXT_HAS(text, L"\"IPAddress\":\"");
	WANT(open_service(&service, &error), OK);
	CHECK(!error && service, "HcnOpenService left error %p, handle %p", (void *)error, service);
	WANT(close_service(service), OK);
	WANT(close_service(service), INVALID_HANDLE);
}
