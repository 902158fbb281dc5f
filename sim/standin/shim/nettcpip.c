/* The cmdlets of the modules NetTCPIP and NetAdapter. Interfaces, addresses and
   routes are those that wine's iphlpapi tells, with their names on Windows.
   What is set is kept in the registry, which every run has anew: it can be read
   again, and no packet follows it. */
#define _WIN32_WINNT 0x0600
#include <winsock2.h>
#include <ws2tcpip.h>
#include <iphlpapi.h>

#include "adapters.h"
#include "powershell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef ULONG(WINAPI *adapters_fn)(ULONG, ULONG, PVOID, PIP_ADAPTER_ADDRESSES, PULONG);

#define STORE L"Software\\hnsim\\NetTCPIP\\"

static char *utf8(const WCHAR *w)
{
	int n = WideCharToMultiByte(CP_UTF8, 0, w, -1, NULL, 0, NULL, NULL);
	char *s = take(n + 1);
	WideCharToMultiByte(CP_UTF8, 0, w, -1, s, n, NULL, NULL);
	return s;
}

static WCHAR *utf16(const char *s)
{
	int n = MultiByteToWideChar(CP_UTF8, 0, s, -1, NULL, 0);
	WCHAR *w = take((n + 1) * sizeof *w);
	MultiByteToWideChar(CP_UTF8, 0, s, -1, w, n);
	return w;
}

static PIP_ADAPTER_ADDRESSES adapters(void)
{
	static PIP_ADAPTER_ADDRESSES list;
	adapters_fn get;
	ULONG size = 65536, e = ERROR_BUFFER_OVERFLOW;
	if (list)
		return list;
	hnsim_mend_adapters();
	get = (adapters_fn)(void *)GetProcAddress(GetModuleHandleW(L"iphlpapi.dll"), "GetAdaptersAddresses");
	for (int i = 0; get && i < 8 && e == ERROR_BUFFER_OVERFLOW; i++) {
		list = take(size);
		e = get(AF_UNSPEC, GAA_FLAG_INCLUDE_PREFIX, NULL, list, &size);
	}
	if (e != ERROR_SUCCESS)
		not_modelled(format("a machine without interfaces (error %lu)", e));
	return list;
}

static PIP_ADAPTER_ADDRESSES adapter_of(unsigned long index)
{
	PIP_ADAPTER_ADDRESSES a = adapters();
	while (a && a->IfIndex != index && a->Ipv6IfIndex != index)
		a = a->Next;
	return index ? a : NULL;
}

static unsigned long index_of(PIP_ADAPTER_ADDRESSES a) { return a->IfIndex ? a->IfIndex : a->Ipv6IfIndex; }

static const char *address_text(int family, const void *address)
{
	char *text = take(INET6_ADDRSTRLEN);
	inet_ntop(family, address, text, INET6_ADDRSTRLEN);
	return text;
}

/* The family of an address, or 0. */
static int parse_address(const char *text, unsigned char out[16])
{
	if (inet_pton(AF_INET, text, out) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0;
}

/* The family of a prefix without bits after its length, or 0; *canonical is its usual form. */
static int parse_prefix(const char *text, const char **canonical)
{
	char address[INET6_ADDRSTRLEN + 1], *end;
	unsigned char bytes[16] = {0};
	const char *slash = strchr(text, '/');
	long bits, max;
	int family;
	if (!slash || slash - text >= (int)sizeof address || slash[1] < '0' || slash[1] > '9')
		return 0;
	memcpy(address, text, slash - text);
	address[slash - text] = 0;
	family = parse_address(address, bytes);
	max = family == AF_INET ? 32 : 128;
	bits = strtol(slash + 1, &end, 10);
	if (!family || *end || bits > max)
		return 0;
	for (long i = bits; i < max; i++)
		if (bytes[i / 8] & (0x80 >> i % 8))
			return 0;
	*canonical = format("%s/%ld", address_text(family, bytes), bits);
	return family;
}

static HKEY store(const WCHAR *name)
{
	WCHAR path[64] = STORE;
	HKEY key;
	wcscat(path, name);
	if (RegCreateKeyExW(HKEY_CURRENT_USER, path, 0, NULL, 0, KEY_ALL_ACCESS, NULL, &key, NULL))
		not_modelled("a registry that cannot be written");
	return key;
}

static int stored(HKEY key, const char *name, DWORD *value)
{
	DWORD size = sizeof *value;
	return !RegQueryValueExW(key, utf16(name), NULL, NULL, (BYTE *)value, &size);
}

static void set_stored(HKEY key, const char *name, DWORD value)
{
	if (RegSetValueExW(key, utf16(name), 0, REG_DWORD, (BYTE *)&value, sizeof value))
		not_modelled("a registry that cannot be written");
}

static void set_interface(struct object *o, unsigned long index)
{
	PIP_ADAPTER_ADDRESSES a = adapter_of(index);
	set_number(o, "ifIndex", index);
	set_number(o, "InterfaceIndex", index);
	set_text(o, "InterfaceAlias", a && a->FriendlyName ? utf8(a->FriendlyName) : "");
}

/* kept tells routes of New-NetRoute from the interfaces' own. */
static struct object *route(unsigned long index, int family, const char *prefix, const char *hop, DWORD metric, int kept)
{
	struct object *o = new_object();
	set_interface(o, index);
	set_text(o, "DestinationPrefix", prefix);
	set_text(o, "NextHop", hop);
	set_number(o, "RouteMetric", metric);
	set_number(o, "AddressFamily", family);
	set_text(o, "Protocol", kept ? "NetMgmt" : "Local");
	return o;
}

static char *route_key(unsigned long index, const char *prefix, const char *hop)
{
	return format("%lu|%s|%s", index, prefix, hop);
}

static void own_routes(struct value *to)
{
	PMIB_IPFORWARD_TABLE2 t;
	if (GetIpForwardTable2(AF_UNSPEC, &t))
		return;
	for (ULONG i = 0; i < t->NumEntries; i++) {
		MIB_IPFORWARD_ROW2 *r = &t->Table[i];
		int family = r->DestinationPrefix.Prefix.si_family, v4 = family == AF_INET;
		const void *to_address = v4 ? (void *)&r->DestinationPrefix.Prefix.Ipv4.sin_addr : (void *)&r->DestinationPrefix.Prefix.Ipv6.sin6_addr;
		const void *hop = v4 ? (void *)&r->NextHop.Ipv4.sin_addr : (void *)&r->NextHop.Ipv6.sin6_addr;
		const char *prefix = format("%s/%u", address_text(family, to_address), r->DestinationPrefix.PrefixLength);
		append(to, route(r->InterfaceIndex, family, prefix, address_text(family, hop), r->Metric, 0));
	}
	FreeMibTable(t);
}

static struct value all_routes(void)
{
	struct value v = {0};
	WCHAR name[256];
	HKEY key = store(L"Routes");
	DWORD length, metric, size;
	own_routes(&v);
	for (DWORD i = 0; length = 256, size = sizeof metric, !RegEnumValueW(key, i, name, &length, NULL, NULL, (BYTE *)&metric, &size); i++) {
		char *text = utf8(name), *prefix = strchr(text, '|'), *hop = prefix ? strchr(prefix + 1, '|') : NULL;
		if (!hop)
			continue;
		*prefix++ = 0;
		*hop++ = 0;
		append(&v, route(strtoul(text, NULL, 10), strchr(prefix, ':') ? AF_INET6 : AF_INET, prefix, hop, metric, 1));
	}
	RegCloseKey(key);
	return v;
}

static const char *family_number(const char *text)
{
	if (!_stricmp(text, "IPv4"))
		return "2";
	return _stricmp(text, "IPv6") ? text : "23";
}

/* Whether an object has one of the values that an argument lists. */
static int has_one_of(const struct object *o, const char *name, const struct value *wanted)
{
	const struct property *p = property_of(o, name);
	for (int i = 0; p && i < wanted->count; i++) {
		const char *w = wanted->items[i]->scalar.text;
		if (w && like(p->text, strcmp(name, "AddressFamily") ? w : family_number(w)))
			return 1;
	}
	return 0;
}

/* The objects that have what the arguments say. None is an error, as on
   Windows, if an argument names a thing and not a pattern. */
static struct value matching(const struct cmdlet *c, const struct arguments *a, const char *class, struct value all)
{
	struct value v = {0};
	for (int i = 0; i < all.count; i++) {
		int ok = 1;
		for (int j = 0; ok && j < a->count; j++) {
			if (property_of(all.items[i], a->list[j].name))
				ok = has_one_of(all.items[i], a->list[j].name, &a->list[j].value);
		}
		if (ok)
			append(&v, all.items[i]);
	}
	for (int j = 0; !v.count && j < a->count; j++) {
		const struct value *w = &a->list[j].value;
		const char *name = a->list[j].name, *text = w->count && w->items[0]->scalar.text ? w->items[0]->scalar.text : "";
		if ((all.count && !property_of(all.items[0], name)) || strpbrk(text, "*?"))
			continue;
		fail(c, a, format("No %s objects found with property '%s' equal to '%s'.  Verify the value of the property and retry.", class, name, text));
		break;
	}
	return v;
}

static struct value get_route(const struct cmdlet *c, const struct arguments *a, struct value input)
{
	(void)input;
	return matching(c, a, "MSFT_NetRoute", all_routes());
}

/* The interface that -InterfaceIndex or -InterfaceAlias names, or NULL. */
static PIP_ADAPTER_ADDRESSES named_interface(const struct arguments *a)
{
	const char *index = argument_text(a, "InterfaceIndex"), *alias = argument_text(a, "InterfaceAlias");
	PIP_ADAPTER_ADDRESSES x;
	if (index)
		return adapter_of(strtoul(index, NULL, 10));
	for (x = adapters(); x && alias; x = x->Next)
		if (x->FriendlyName && !_stricmp(utf8(x->FriendlyName), alias))
			return x;
	return NULL;
}

static struct value new_route(const struct cmdlet *c, const struct arguments *a, struct value input)
{
	struct value v = {0}, all = all_routes();
	const char *prefix = argument_text(a, "DestinationPrefix"), *hop = argument_text(a, "NextHop");
	const char *key;
	const char *metric = argument(a, "RouteMetric") ? argument_text(a, "RouteMetric") : "256";
	PIP_ADAPTER_ADDRESSES x = named_interface(a);
	unsigned char bytes[16];
	int family = prefix ? parse_prefix(prefix, &prefix) : 0;
	HKEY routes;
	(void)input;
	if (!hop)
		hop = family == AF_INET6 ? "::" : "0.0.0.0";
	if (!family || parse_address(hop, bytes) != family)
		return fail(c, a, format("The parameter is incorrect. DestinationPrefix '%s', NextHop '%s'", prefix ? prefix : "", hop)), v;
	hop = address_text(family, bytes);
	if (!x)
		return fail(c, a, "Element not found. No interface has this index or alias."), v;
	if (!metric || !is_number(metric))
		return fail(c, a, format("RouteMetric '%s' is no number", metric ? metric : "")), v;
	key = route_key(index_of(x), prefix, hop);
	for (int i = 0; i < all.count; i++) {
		const struct object *o = all.items[i];
		if (!strcmp(key, route_key(strtoul(property_of(o, "ifIndex")->text, NULL, 10), property_of(o, "DestinationPrefix")->text, property_of(o, "NextHop")->text)))
			return fail(c, a, "Instance MSFT_NetRoute already exists"), v;
	}
	routes = store(L"Routes");
	set_stored(routes, key, strtoul(metric, NULL, 10));
	RegCloseKey(routes);
	append(&v, route(index_of(x), family, prefix, hop, strtoul(metric, NULL, 10), 1));
	return v;
}

static struct value remove_route(const struct cmdlet *c, const struct arguments *a, struct value input)
{
	struct value none = {0};
	HKEY routes = store(L"Routes");
	if (!input.array) /* nothing through a pipe is no route */
		input = matching(c, a, "MSFT_NetRoute", all_routes());
	for (int i = 0; i < input.count; i++) {
		const struct property *index = property_of(input.items[i], "ifIndex"), *prefix = property_of(input.items[i], "DestinationPrefix");
		const struct property *hop = property_of(input.items[i], "NextHop");
		if (!index || !prefix || !hop)
			fail(c, a, "The input object is no route.");
		else if (RegDeleteValueW(routes, utf16(route_key(strtoul(index->text, NULL, 10), prefix->text, hop->text))))
			fail(c, a, format("removing %s via %s, which New-NetRoute has not made, is not modelled by hnsim", prefix->text, hop->text));
	}
	RegCloseKey(routes);
	return none;
}

/* What Set-NetIPInterface keeps, with the values of MSFT_NetIPInterface. */
static const struct setting {
	const char *name;
	int toggle; /* Enabled and Disabled, 1 and 0 */
} settings[] = {{"Forwarding", 1}, {"Dhcp", 1}, {"NlMtuBytes", 0}, {"InterfaceMetric", 0}, {"WeakHostSend", 1}, {"WeakHostReceive", 1}, {NULL, 0}};

static const char *setting_property(const char *setting)
{
	return strcmp(setting, "NlMtuBytes") ? setting : "NlMtu";
}

static struct value all_interfaces(void)
{
	struct value v = {0};
	HKEY key = store(L"Interfaces");
	for (PIP_ADAPTER_ADDRESSES a = adapters(); a; a = a->Next)
		for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
			struct object *o = new_object();
			set_interface(o, index_of(a));
			set_number(o, "AddressFamily", family);
			set_number(o, "ConnectionState", a->OperStatus == IfOperStatusUp);
			for (const struct setting *s = settings; s->name; s++) {
				DWORD n = 0;
				if (!strcmp(s->name, "NlMtuBytes"))
					n = a->Mtu;
				else if (!strcmp(s->name, "Dhcp"))
					n = family == AF_INET && a->Dhcpv4Enabled;
				stored(key, format("%lu|%d|%s", index_of(a), family, s->name), &n);
				set_number(o, setting_property(s->name), n);
			}
			append(&v, o);
		}
	RegCloseKey(key);
	return v;
}

static struct value get_interface(const struct cmdlet *c, const struct arguments *a, struct value input)
{
	(void)input;
	return matching(c, a, "MSFT_NetIPInterface", all_interfaces());
}

/* The number that a setting's text stands for, or an error. */
static int setting_number(const struct setting *s, const char *text, DWORD *n)
{
	char *end;
	*n = strtoul(text, &end, 10);
	if (!s->toggle)
		return *text && !*end;
	*n = !_stricmp(text, "Enabled");
	return *n || !_stricmp(text, "Disabled");
}

static struct value set_ip_interface(const struct cmdlet *c, const struct arguments *a, struct value input)
{
	struct value none = {0};
	struct arguments which = {.count = 0};
	HKEY key;
	for (int i = 0; i < a->count; i++) /* the others say what to set */
		if (!strcmp(a->list[i].name, "InterfaceIndex") || !strcmp(a->list[i].name, "InterfaceAlias") ||
		    !strcmp(a->list[i].name, "AddressFamily") || !strcmp(a->list[i].name, "ErrorAction"))
			which.list[which.count++] = a->list[i];
	if (!input.array)
		input = matching(c, &which, "MSFT_NetIPInterface", all_interfaces());
	key = store(L"Interfaces");
	for (const struct setting *s = settings; s->name; s++) {
		const char *text = argument_text(a, s->name);
		DWORD n;
		if (!text)
			continue;
		if (!setting_number(s, text, &n)) {
			fail(c, a, format("Cannot process argument transformation on parameter '%s': '%s' is not valid.", s->name, text));
			break;
		}
		for (int i = 0; i < input.count; i++)
			if (!property_of(input.items[i], "ConnectionState"))
				fail(c, a, "The input object is no IP interface.");
			else
				set_stored(key, format("%s|%s|%s", property_of(input.items[i], "ifIndex")->text, property_of(input.items[i], "AddressFamily")->text, s->name), n);
	}
	RegCloseKey(key);
	return none;
}

static struct value get_adapter(const struct cmdlet *c, const struct arguments *args, struct value input)
{
	struct value v = {0};
	(void)input;
	for (PIP_ADAPTER_ADDRESSES a = adapters(); a; a = a->Next) {
		struct object *o;
		char mac[3 * MAX_ADAPTER_ADDRESS_LENGTH + 1] = "";
		if (a->IfType == IF_TYPE_SOFTWARE_LOOPBACK)
			continue;
		for (ULONG i = 0; i < a->PhysicalAddressLength; i++)
			sprintf(mac + strlen(mac), i ? "-%02X" : "%02X", a->PhysicalAddress[i]);
		o = new_object();
		set_text(o, "Name", a->FriendlyName ? utf8(a->FriendlyName) : "");
		set_text(o, "InterfaceDescription", a->Description ? utf8(a->Description) : "");
		set_interface(o, index_of(a));
		set_text(o, "Status", a->OperStatus == IfOperStatusUp ? "Up" : "Disconnected");
		set_text(o, "MacAddress", mac);
		set_number(o, "MtuSize", a->Mtu);
		append(&v, o);
	}
	return matching(c, args, "MSFT_NetAdapter", v);
}

static struct value get_address(const struct cmdlet *c, const struct arguments *args, struct value input)
{
	struct value v = {0};
	(void)input;
	for (PIP_ADAPTER_ADDRESSES a = adapters(); a; a = a->Next)
		for (PIP_ADAPTER_UNICAST_ADDRESS u = a->FirstUnicastAddress; u; u = u->Next) {
			const struct sockaddr *s = u->Address.lpSockaddr;
			struct object *o = new_object();
			set_text(o, "IPAddress", address_text(s->sa_family, s->sa_family == AF_INET ? (void *)&((struct sockaddr_in *)s)->sin_addr : (void *)&((struct sockaddr_in6 *)s)->sin6_addr));
			set_interface(o, index_of(a));
			set_number(o, "AddressFamily", s->sa_family);
			set_number(o, "PrefixLength", u->OnLinkPrefixLength);
			append(&v, o);
		}
	return matching(c, args, "MSFT_NetIPAddress", v);
}

#define WHERE " InterfaceAlias InterfaceIndex AddressFamily "
const struct cmdlet net_cmdlets[] = {
	{"Get-NetRoute", "", " DestinationPrefix NextHop RouteMetric" WHERE, get_route},
	{"New-NetRoute", "", " DestinationPrefix NextHop RouteMetric PolicyStore" WHERE, new_route},
	{"Remove-NetRoute", "", " DestinationPrefix NextHop RouteMetric PolicyStore" WHERE, remove_route},
	{"Get-NetIPInterface", "", WHERE, get_interface},
	{"Set-NetIPInterface", "", WHERE "Forwarding Dhcp NlMtuBytes InterfaceMetric WeakHostSend WeakHostReceive ", set_ip_interface},
	{"Get-NetAdapter", "", " Name InterfaceDescription InterfaceIndex ", get_adapter},
	{"Get-NetIPAddress", "", " IPAddress PrefixLength" WHERE, get_address},
	{NULL, NULL, NULL, NULL},
};
