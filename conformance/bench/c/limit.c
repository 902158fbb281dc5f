// The limit: what a packet costs in C when nothing but the unavoidable work is
// done, with one core and AVX-512. Rows:
//
//   rx            bring in 64 bytes; every other row does that, too
//   l2            two MAC lookups, output queue
//   napt          5-tuple lookup, rewrite, two incremental checksums, TTL, MACs, counters
//   encap         MAC lookup, 50 bytes of outer headers
//   encap+decap   both ends of a tunnel
//   lb            virtual address to backend by hash, no table of flows
//   new           insert a pair of flows with a port from a list
//   acl-abv-N     classify against N rules by aggregated bit vectors
//
//   gcc -O3 -march=native -fno-strict-aliasing -o limit limit.c
//   ./limit [STRIDE of the packet ring [ROW [PACKETS]]]
//   ./limit serve FLOWS STRIDE
//
// prints lines of row, flows and nanoseconds per packet (median of seven).
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <immintrin.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#define B 64                    // batch
#define SLOTS 1024
static u32 STRIDE = 256;
static int TRACE = 1 << 20;
static inline u64 now()
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *big(size_t n)
{
    size_t a = (n + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
    void *p = mmap(0, a + (2 << 20), 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p = (void *)(((u64) p + (2 << 20) - 1) & ~(u64) ((2 << 20) - 1));
    madvise(p, a, MADV_HUGEPAGE);
    memset(p, 0, a);
    return p;
}

static u64 rs = 88172645463325252ull;
static inline u64 rnd()
{
    rs ^= rs << 13;
    rs ^= rs >> 7;
    rs ^= rs << 17;
    return rs;
}

static inline u64 mix(u64 a, u64 b)
{
    __uint128_t m = (__uint128_t) (a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD6E8FEB86659FD93ull);
    return (u64) m ^ (u64) (m >> 64);
}

static inline u16 fold(u32 s)
{
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return s;
}

#define L(t,p) (*(t __attribute__((aligned(1),may_alias))*)(p))
typedef struct __attribute__((aligned(64))) {
    u64 k0, k1;
    u32 nip;
    u16 nport, dip, dl4, out;
    u32 used;
    u64 pkts, bytes;
    u32 seen, rev;
} ent;                          // 64B

static u8 *ring, *trace;
static ent *ft;
static u64 fmask;
typedef struct {
    u64 k;
    u32 port;
    u32 age;
} ment;
static ment *mt;
static u64 mmask;
static u32 txq[16][B * 4];
static u32 txn[16];
static u32 tick;
static inline u64 bswap(u64 x)
{
    return __builtin_bswap64(x);
}

static void mkpkt(u8 * p, u32 f, u64 dmac, u64 smac, u32 iplen)
{
    memset(p, 0, 64);
    memcpy(p, &dmac, 6);
    memcpy(p + 6, &smac, 6);
    p[12] = 8;
    p[13] = 0;
    u8 *ip = p + 14;
    ip[0] = 0x45;
    L(u16, ip + 2) = __builtin_bswap16(iplen);
    ip[8] = 64;
    ip[9] = 17;
    L(u32, ip + 12) = __builtin_bswap32(0x0a000000u + (f >> 4));
    L(u32, ip + 16) = __builtin_bswap32(0xc6120001u);
    L(u16, ip + 20) = __builtin_bswap16(1024 + (f & 15) * 1000 + (f % 977));
    L(u16, ip + 22) = __builtin_bswap16(80);
    L(u16, ip + 24) = __builtin_bswap16(iplen - 20);
    u32 s = 0;
    for (int i = 0; i < 10; i++)
        s += L(u16, ip + 2 * i);
    L(u16, ip + 10) = ~fold(s);
    s = 0;
    for (int i = 6; i < 10; i++)
        s += L(u16, ip + 2 * i);
    s += __builtin_bswap16(17) + L(u16, ip + 24);
    for (int i = 10; i < 14; i++)
        s += L(u16, ip + 2 * i);
    for (int i = 14; i < 25; i++)
        s += L(u16, ip + 2 * i);
    L(u16, ip + 26) = ~fold(s);
}

static inline void keyof(u8 * p, u64 * k0, u64 * k1)
{
    *k0 = L(u64, p + 26);
    *k1 = L(u32, p + 34) | ((u64) p[23] << 32);
}

static ent *finsert(u64 k0, u64 k1)
{
    u64 h = mix(k0, k1) & fmask;
    while (ft[h].used && !(ft[h].k0 == k0 && ft[h].k1 == k1))
        h = (h + 1) & fmask;
    ft[h].k0 = k0;
    ft[h].k1 = k1;
    ft[h].used = 1;
    return &ft[h];
}

static ment *minsert(u64 k, u32 port)
{
    u64 h = mix(k, 0x51) & mmask;
    while (mt[h].k && mt[h].k != k)
        h = (h + 1) & mmask;
    mt[h].k = k;
    mt[h].port = port;
    return &mt[h];
}

static u64 macof(u32 i)
{
    return 0x02ull | ((u64) (i & 0xff) << 40) | ((u64) ((i >> 8) & 0xff) << 32) | ((u64) ((i >> 16) & 0xff) << 24) |
        (0x15ull << 8);
}                               // 6 bytes LE

static inline void rx(u8 * d, u8 * s)
{
    _mm512_store_si512((void *)d, _mm512_load_si512((void *)s));
}

#define SLOT(i) (ring+(u64)((i)&(SLOTS-1))*STRIDE+64)
// ---- work items, each processes n packets
static void w_rx(u64 n)
{
    for (u64 i = 0; i < n; i += B) {
        for (int j = 0; j < B; j++)
            rx(SLOT(i + j), trace + ((i + j) & (TRACE - 1)) * 64);
        asm volatile("" ::: "memory");
    }
}

static void w_l2(u64 n)
{
    for (u64 i = 0; i < n; i += B) {
        u64 d[B], s[B];
        u32 hd[B], hs[B];
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            rx(p, trace + ((i + j) & (TRACE - 1)) * 64);
        }
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            d[j] = L(u64, p) & 0xffffffffffffull;
            s[j] = L(u64, p + 4) >> 16;
            hd[j] = mix(d[j], 0x51) & mmask;
            hs[j] = mix(s[j], 0x51) & mmask;
            _mm_prefetch(&mt[hd[j]], 3);
            _mm_prefetch(&mt[hs[j]], 3);
        }
        memset(txn, 0, sizeof txn);
        tick++;
        for (int j = 0; j < B; j++) {
            u64 h = hs[j];
            while (mt[h].k != s[j])
                h = (h + 1) & mmask;
            mt[h].age = tick;
            h = hd[j];
            while (mt[h].k != d[j])
                h = (h + 1) & mmask;
            u32 o = mt[h].port;
            txq[o][txn[o]++] = i + j;
        }
        asm volatile("" ::: "memory");
    }
}

static inline void napt1(u8 * p, ent * e, u32 len)
{                               // src rewrite + incr csum + ttl + mac rewrite + counters
    L(u32, p + 26) = e->nip;
    L(u16, p + 34) = e->nport;
    u32 c = (u16) ~ L(u16, p + 24) + (u32) e->dip + 0xfffe;     // ttl dec: word at 22 LE: ttl low byte -> minus 1 == + ~1
    L(u16, p + 24) = ~fold(c);
    p[22]--;
    u32 q = (u16) ~ L(u16, p + 40) + (u32) e->dl4;
    u16 r = ~fold(q);
    L(u16, p + 40) = r ? r : 0xffff;
    L(u64, p) = (L(u64, p) & 0xffff000000000000ull) | 0x000000aa0002ull;
    L(u32, p + 6) = 0xbb0002;
    L(u16, p + 10) = 0x77;
    e->pkts++;
    e->bytes += len;
    e->seen = tick;
}

static void w_napt(u64 n)
{
    for (u64 i = 0; i < n; i += B) {
        u64 k0[B], k1[B];
        u32 hh[B];
        for (int j = 0; j < B; j++)
            rx(SLOT(i + j), trace + ((i + j) & (TRACE - 1)) * 64);
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            if (L(u16, p + 12) != 8 || p[14] != 0x45)
                continue;
            keyof(p, &k0[j], &k1[j]);
            hh[j] = mix(k0[j], k1[j]) & fmask;
            _mm_prefetch(&ft[hh[j]], 3);
        }
        memset(txn, 0, sizeof txn);
        tick++;
        for (int j = 0; j < B; j++) {
            u64 h = hh[j];
            while (ft[h].k0 != k0[j] || ft[h].k1 != k1[j]) {
                h = (h + 1) & fmask;
            }
            ent *e = &ft[h];
            napt1(SLOT(i + j), e, 64);
            u32 o = e->out;
            txq[o][txn[o]++] = i + j;
        }
        asm volatile("" ::: "memory");
    }
}

static void w_enc(u64 n, int dec)
{
    static u8 tmpl[64];
    memset(tmpl, 0x11, 64);
    L(u16, tmpl + 12) = 8;
    tmpl[14] = 0x45;
    L(u16, tmpl + 36) = __builtin_bswap16(4789);
    for (u64 i = 0; i < n; i += B) {
        u64 d[B];
        u32 hd[B];
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            rx(p, trace + ((i + j) & (TRACE - 1)) * 64);
        }
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            d[j] = L(u64, p) & 0xffffffffffffull;
            hd[j] = mix(d[j], 0x51) & mmask;
            _mm_prefetch(&mt[hd[j]], 3);
        }
        memset(txn, 0, sizeof txn);
        tick++;
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            u64 h = hd[j];
            while (mt[h].k != d[j])
                h = (h + 1) & mmask;
            u32 o = mt[h].port;
            u64 fh = mix(L(u64, p + 26), L(u32, p + 34));
            u32 len = 64;       // inner flow hash -> udp sport
            u8 *q = p - 50;     // outer template: 48B vector + 2
            __m512i t = _mm512_load_si512((void *)tmpl);
            _mm256_storeu_si256((void *)q, _mm512_castsi512_si256(t));
            _mm_storeu_si128((void *)(q + 32), _mm512_extracti32x4_epi32(t, 2));
            L(u16, q + 48) = 0;
            L(u32, q + 30) = __builtin_bswap32(0x0a640000 + o);
            u16 tl = __builtin_bswap16(len + 36);
            L(u16, q + 16) = tl;
            u32 c = 0x8000 + tl + o * 256;
            L(u16, q + 24) = ~fold(c);
            L(u16, q + 34) = (u16) (fh >> 48) | 0xc0;
            L(u16, q + 38) = __builtin_bswap16(len + 16);
            L(u16, q + 40) = 0;
            L(u32, q + 42) = 8;
            L(u32, q + 46) = 0x00881300u + (o << 8);
            txq[o][txn[o]++] = i + j;
        }
        asm volatile("" ::: "memory");
        if (dec) {              // decap of the just encapped packets + L2 lookup of the inner
            memset(txn, 0, sizeof txn);
            for (int j = 0; j < B; j++) {
                u8 *q = SLOT(i + j) - 50;
                if (L(u16, q + 12) != 8 || q[14] != 0x45 || L(u16, q + 36) != __builtin_bswap16(4789) || !(q[42] & 8)) {
                    continue;
                }
                u64 dd = L(u64, q + 50) & 0xffffffffffffull;
                d[j] = dd;
                hd[j] = mix(dd, 0x51) & mmask;
                _mm_prefetch(&mt[hd[j]], 3);
            }
            for (int j = 0; j < B; j++) {
                u64 h = hd[j];
                while (mt[h].k != d[j])
                    h = (h + 1) & mmask;
                u32 o = mt[h].port;
                txq[o][txn[o]++] = i + j;
            }
            asm volatile("" ::: "memory");
        }
    }
}

static void w_encap(u64 n)
{
    w_enc(n, 0);
} static void w_encdec(u64 n)
{
    w_enc(n, 1);
}

// new-flow setup: 2 inserts (fwd + rev) + port from freelist, table cleared between runs
static u16 *plist;
static void w_new(u64 n)
{                               // n<=1M distinct flows
    static u32 pn;
    u32 nip = __builtin_bswap32(0xcb007101);
    for (u64 i = 0; i < n; i += B) {
        u64 k0[B], k1[B];
        u32 hh[B], hr[B];
        u16 np[B];
        for (int j = 0; j < B; j++)
            rx(SLOT(i + j), trace + ((i + j) & (TRACE - 1)) * 64);
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            keyof(p, &k0[j], &k1[j]);
            hh[j] = mix(k0[j], k1[j]) & fmask;
            _mm_prefetch(&ft[hh[j]], 3);
            np[j] = plist[pn++ & 65535];
            u64 r0 = (k0[j] >> 32) | ((u64) (nip + ((u32) (i >> 15) << 24)) << 32), r1 =
                ((k1[j] >> 16) & 0xffff) | ((u64) np[j] << 16) | (17ull << 32);
            hr[j] = mix(r0, r1) & fmask;
            _mm_prefetch(&ft[hr[j]], 3);
        }
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            u32 pub = nip + ((u32) (i >> 15) << 24);
            u64 h = hh[j];
            while (ft[h].used && !(ft[h].k0 == k0[j] && ft[h].k1 == k1[j]))
                h = (h + 1) & fmask;
            ent *e = &ft[h];
            if (!e->used) {
                e->k0 = k0[j];
                e->k1 = k1[j];
                e->used = 1;
                e->nip = pub;
                e->nport = np[j];
                u32 oip = L(u32, p + 26);
                u16 op = L(u16, p + 34);
                u32 dd = (u16) ~ oip + (u16) ~ (oip >> 16) + (pub & 0xffff) + (pub >> 16);
                e->dip = fold(dd);
                e->dl4 = fold(dd + (u16) ~ op + np[j]);
                e->out = 1;
                e->pkts = 0;
                e->bytes = 0;
                u64 r0 = (k0[j] >> 32) | ((u64) pub << 32), r1 =
                    ((k1[j] >> 16) & 0xffff) | ((u64) np[j] << 16) | (17ull << 32);
                u64 g = hr[j];
                while (ft[g].used)
                    g = (g + 1) & fmask;
                ent *f = &ft[g];
                f->k0 = r0;
                f->k1 = r1;
                f->used = 1;
                f->nip = oip;
                f->nport = op;
                f->dip = ~e->dip;
                f->dl4 = ~e->dl4;
                f->rev = h;
                e->rev = g;
                f->out = 2;
            }
            napt1(p, e, 64);
        }
        asm volatile("" ::: "memory");
    }
}

// ACL: aggregated bit vector
#define MAXR 1024
#define W (MAXR/64)
static u16 *cls[6];
static u64(*bv[6])[W];
static u64 *sum[6];
static int ncls[6];
static u32 acl_hits;
typedef struct {
    u32 s, sm, d, dm;
    u16 pl, ph;
    u8 proto;
} rule;
static rule R[MAXR];
int NR;
static void aclbuild(int nr)
{
    NR = nr;
    for (int r = 0; r < nr; r++) {
        int sl = 8 + rnd() % 25, dl = 16 + rnd() % 17;
        R[r].sm = ~0u << (32 - sl);
        R[r].dm = ~0u << (32 - dl);
        R[r].s = (rnd() & R[r].sm);
        R[r].d = rnd() & R[r].dm;
        R[r].pl = rnd() % 60000;
        R[r].ph = R[r].pl + rnd() % 4000;
        R[r].proto = rnd() & 1 ? 17 : 6;
    }
    // last rule: catch-all so every packet hits the last rule (worst case linear)
    R[nr - 1] = (rule) {
    0, 0, 0, 0, 0, 65535, 17};
    for (int f = 0; f < 6; f++) {
        if (!cls[f]) {
            cls[f] = big(65536 * 2);
            bv[f] = big(sizeof(u64) * W * 4096);
            sum[f] = big(8 * 4096);
        }
        ncls[f] = 0;
        int space = f == 5 ? 256 : 65536;
        u64 v[W];
        u64 *prev = 0;
        for (int x = 0; x < space; x++) {
            memset(v, 0, sizeof v);
            for (int r = 0; r < nr; r++) {
                int m = 0;
                rule *q = &R[r];
                switch (f) {
                case 0:
                    m = ((x ^ (q->s >> 16)) & (q->sm >> 16)) == 0;
                    break;
                case 1:
                    m = ((x ^ q->s) & q->sm & 0xffff) == 0;
                    break;
                case 2:
                    m = ((x ^ (q->d >> 16)) & (q->dm >> 16)) == 0;
                    break;
                case 3:
                    m = ((x ^ q->d) & q->dm & 0xffff) == 0;
                    break;
                case 4:
                    m = x >= q->pl && x <= q->ph;
                    break;
                case 5:
                    m = x == q->proto;
                }
                if (m)
                    v[r >> 6] |= 1ull << (r & 63);
            }
            int c = -1;
            if (prev && !memcmp(prev, v, sizeof v))
                c = cls[f][x - 1];
            else
                for (int k = 0; k < ncls[f]; k++)
                    if (!memcmp(bv[f][k], v, sizeof v)) {
                        c = k;
                        break;
                    }
            if (c < 0) {
                c = ncls[f]++;
                if (c >= 4096)
                    abort();
                memcpy(bv[f][c], v, sizeof v);
                sum[f][c] = 0;
                for (int w = 0; w < W; w++)
                    if (v[w])
                        sum[f][c] |= 1ull << w;
            }
            cls[f][x] = c;
            prev = bv[f][c];
        }
    }
}

static inline int aclmatch(u8 * p)
{
    u32 s = __builtin_bswap32(L(u32, p + 26)), d = __builtin_bswap32(L(u32, p + 30));
    u32 dp = __builtin_bswap16(L(u16, p + 36));
    u32 a = cls[0][s >> 16], b = cls[1][s & 0xffff], c = cls[2][d >> 16], e = cls[3][d & 0xffff], f = cls[4][dp], g =
        cls[5][p[23]];
    u64 m = sum[0][a] & sum[1][b] & sum[2][c] & sum[3][e] & sum[4][f] & sum[5][g];
    while (m) {
        int w = __builtin_ctzll(m);
        u64 x = bv[0][a][w] & bv[1][b][w] & bv[2][c][w] & bv[3][e][w] & bv[4][f][w] & bv[5][g][w];
        if (x)
            return w * 64 + __builtin_ctzll(x);
        m &= m - 1;
    }
    return -1;
}

static void w_acl(u64 n)
{
    for (u64 i = 0; i < n; i += B) {
        for (int j = 0; j < B; j++)
            rx(SLOT(i + j), trace + ((i + j) & (TRACE - 1)) * 64);
        u32 h = 0;
        for (int j = 0; j < B; j++)
            h += aclmatch(SLOT(i + j));
        acl_hits += h;
        asm volatile("" ::: "memory");
    }
}

static u32 mag[65537];
static u32 be_ip[256];
static u16 be_c[256];
static void w_lb(u64 n)
{
    u32 vip = __builtin_bswap32(0xc6120001u);
    for (u64 i = 0; i < n; i += B) {
        u32 hh[B];
        for (int j = 0; j < B; j++)
            rx(SLOT(i + j), trace + ((i + j) & (TRACE - 1)) * 64);
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            u64 h = mix(L(u64, p + 26), L(u32, p + 34) | ((u64) p[23] << 32));
            hh[j] = ((h >> 32) * 65537ull) >> 32;
        }
        for (int j = 0; j < B; j++) {
            u8 *p = SLOT(i + j);
            if (L(u32, p + 30) != vip)
                continue;
            u32 b = mag[hh[j]];
            u32 dd = be_c[b];
            L(u32, p + 30) = be_ip[b];
            u32 c = (u16) ~ L(u16, p + 24) + dd;
            L(u16, p + 24) = ~fold(c);
            c = (u16) ~ L(u16, p + 40) + dd;
            L(u16, p + 40) = ~fold(c);
            L(u32, p) = b * 77;
            L(u16, p + 4) = b;
        }
        asm volatile("" ::: "memory");
    }
}

static int cmp(const void *a, const void *b)
{
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}

static void bench(const char *nm, u32 flows, u64 n, void (*f)(u64), void (*reset)())
{
    double r[9];
    int R_ = 7;
    for (int k = 0; k < R_; k++) {
        if (reset)
            reset();
        u64 t = now();
        f(n);
        r[k] = (double)(now() - t) / n;
    }
    qsort(r, R_, 8, cmp);
    printf("%s %u %.3f\n", nm, flows, r[R_ / 2]);
    fflush(stdout);
}

static u64 fcap;
static void rst()
{
    memset(ft, 0, (fcap) * 64);
}

static void check()
{
    w_napt(64);
    for (int j = 0; j < 64; j++) {
        u8 *ip = SLOT(j) + 14;
        u32 s = 0;
        for (int i = 0; i < 10; i++)
            s += L(u16, ip + 2 * i);
        if (fold(s) != 0xffff) {
            printf("ip csum bad %d\n", j);
            exit(1);
        }
        s = 0;
        for (int i = 6; i < 10; i++)
            s += L(u16, ip + 2 * i);
        s += __builtin_bswap16(17) + L(u16, ip + 24);
        for (int i = 10; i < 25; i++)
            s += L(u16, ip + 2 * i);
        if (fold(s) != 0xffff) {
            printf("udp csum bad %d\n", j);
            exit(1);
        }
    }
}

static void allocate(void)
{
    ring = big((u64) SLOTS * STRIDE + 4096);
    trace = big((u64) TRACE * 64);
    plist = malloc(131072);
    for (int i = 0; i < 65536; i++)
        plist[i] = i;
    for (int i = 65535; i > 0; i--) {
        int j = rnd() % (i + 1);
        u16 t = plist[i];
        plist[i] = plist[j];
        plist[j] = t;
    }
    for (int i = 0; i < 65537; i++)
        mag[i] = rnd() & 255;
    for (int i = 0; i < 256; i++) {
        be_ip[i] = rnd();
        be_c[i] = rnd();
    }
    fcap = 4 << 20;
    ft = big(fcap * 64);
    mt = big((u64) (2 << 20) * 16);
}

// table_of makes tables and traffic of F flows.
static void table_of(u32 F, u32 iplen)
{
    fmask = 1;
    while (fmask < F * 2ull)
        fmask *= 2;
    fmask--;
    if (fmask < 15)
        fmask = 15;
    mmask = fmask > (2u << 20) - 1 ? (2u << 20) - 1 : fmask;
    memset(ft, 0, fcap * 64);
    memset(mt, 0, (u64) (2 << 20) * 16);
    for (u32 f = 0; f < F; f++)
        minsert(macof(f), f & 7);
    for (int t = 0; t < TRACE; t++) {
        u32 f = rnd() % F;
        mkpkt(trace + (u64) t * 64, f, macof(rnd() % F), macof(f), iplen);
        u64 k0, k1;
        keyof(trace + (u64) t * 64, &k0, &k1);
        ent *e = finsert(k0, k1);
        u32 oip = L(u32, trace + (u64) t * 64 + 26);
        u16 op = L(u16, trace + (u64) t * 64 + 34);
        e->nip = __builtin_bswap32(0xcb007101);
        e->nport = __builtin_bswap16(f);
        u32 dd = (u16) ~ oip + (u16) ~ (oip >> 16) + (e->nip & 0xffff) + (e->nip >> 16);
        e->dip = fold(dd);
        e->dl4 = fold(dd + (u16) ~ op + e->nport);
        e->out = f & 7;
    }
    check();
}

// new_traffic has a flow for every packet.
static void new_traffic(u32 iplen)
{
    fmask = fcap - 1;
    for (int t = 0; t < TRACE; t++) {
        u32 f = t;
        mkpkt(trace + (u64) t * 64, f, 1, 2, iplen);
        L(u16, trace + (u64) t * 64 + 34) = (u16) (f * 7);
    }
}

// serve measures what it is asked for, for runs in turn with something else:
// lines of row and packets, answered with nanoseconds per packet.
static int serve(u32 F, u32 iplen)
{
    static const struct { const char *name; void (*work)(u64); } rows[] = {
        {"rx", w_rx}, {"l2", w_l2}, {"napt", w_napt}, {"encap", w_encap}, {"encap+decap", w_encdec}, {"lb", w_lb}, {"new", w_new},
    };
    char row[64];
    u64 n;
    int is_new = 0, rules = 0;
    table_of(F, iplen);
    puts("ready");
    fflush(stdout);
    while (scanf("%63s %lu", row, &n) == 2) {
        void (*work)(u64) = 0;
        int want = 0;
        for (u32 i = 0; i < sizeof rows / sizeof *rows; i++)
            if (!strcmp(row, rows[i].name))
                work = rows[i].work;
        if (sscanf(row, "acl-abv-%d", &want) == 1 && want > 0 && want <= MAXR) {
            if (rules != want)
                aclbuild(want);
            rules = want;
            work = w_acl;
        }
        if (!work) {
            printf("no row %s\n", row);
            fflush(stdout);
            continue;
        }
        if ((work == w_new) != is_new) {
            if (work == w_new)
                new_traffic(iplen);
            else
                table_of(F, iplen);
            is_new = work == w_new;
        }
        if (work == w_new) {
            rst();
            n = n > (u64) TRACE ? (u64) TRACE : n;
        } else {
            work(n / 8 + B); // what ran in between has used the caches
        }
        n = (n + B - 1) / B * B;
        u64 t = now();
        work(n);
        printf("%.4f\n", (double)(now() - t) / n);
        fflush(stdout);
    }
    return acl_hits == 12345;
}

int main(int ac, char **av)
{
    u32 fl[] = { 1, 1000, 100000, 1000000 };
    int nf = 4;
    if (ac > 3 && !strcmp(av[1], "serve")) {
        STRIDE = atoi(av[3]);
        allocate();
        return serve(atoi(av[2]), STRIDE > 1600 ? 1486 : 50);
    }
    if (ac > 1) {
        STRIDE = atoi(av[1]);
    }
    const char *only = ac > 2 ? av[2] : "";
    u64 NP = ac > 3 ? atoll(av[3]) : (8 << 20);
    allocate();
    u32 iplen = STRIDE > 1600 ? 1486 : 50;
    for (int k = 0; k < nf; k++) {
        u32 F = fl[k];
        table_of(F, iplen);
#define RUN(nm,f,r) if(!*only||!strcmp(only,nm))bench(nm,F,NP,f,r)
        RUN("rx", w_rx, 0);
        RUN("l2", w_l2, 0);
        RUN("napt", w_napt, 0);
        RUN("encap", w_encap, 0);
        RUN("encap+decap", w_encdec, 0);
        RUN("lb", w_lb, 0);
        if (k == 3 && (!*only || !strcmp(only, "new"))) {
            new_traffic(iplen);
            bench("new", 1 << 20, 1 << 20, w_new, rst);
        }
    }
    if (!*only || !strcmp(only, "acl")) {
        int rr[] = { 10, 100, 1000 };
        for (int k = 0; k < 3; k++) {
            aclbuild(rr[k]);
            char b[32];
            sprintf(b, "acl-abv-%d", rr[k]);
            bench(b, 1000000, NP, w_acl, 0);
        }
    }
    return acl_hits == 12345; // never: the hits must not be optimised away
}
