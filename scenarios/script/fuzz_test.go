package script

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rsc "rsc.io/script"

	"github.com/hnsim/hnsim/sim/wire"
)

// FuzzParseLine holds our reading of a line against the engine's: the engine
// runs the words, we say what they mean, so both must see the same.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"w a 'b c' $v", "! w 'it''s' x=$v # comment", "[c:x] [!c:y] w ''", "w 'a'b'c'", "w 'open", "? ! w", "[ ] w", "'w' x", "w ${v}$", "w &", "w $$ $1 ${v"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\n\x00") || len(text) > 2000 {
			t.Skip()
		}
		l, err := parseLine(1, text)
		if err != nil || l.word == "" {
			return
		}
		s := newScope(nil)
		s.line, s.vars["v"] = l, "1"
		args, err := s.expandArgs(l.args)
		if err != nil {
			return
		}
		var got []string
		ran := false
		state, err := rsc.NewState(context.Background(), ".", []string{"v=1"})
		if err != nil {
			t.Fatal(err)
		}
		holds := rsc.PrefixCondition("", func(*rsc.State, string) (bool, error) { return true, nil })
		e := &rsc.Engine{Cmds: map[string]rsc.Cmd{}, Conds: map[string]rsc.Cond{}}
		for _, c := range l.conds {
			prefix, _, ok := strings.Cut(c.tag, ":")
			if !ok || !c.want {
				return
			}
			e.Conds[prefix] = holds
		}
		e.Cmds[l.word] = rsc.Command(rsc.CmdUsage{}, func(_ *rsc.State, args ...string) (rsc.WaitFunc, error) {
			got, ran = args, true
			if l.negate {
				return nil, errors.New("no")
			}
			return nil, nil
		})
		if err := e.Execute(state, "f", bufio.NewReader(strings.NewReader(text)), io.Discard); err != nil {
			t.Fatalf("%q: the engine says %v", text, err)
		}
		var want []string
		for _, a := range args {
			// The engine replaces $$ by nothing, the one thing that we do better.
			want = append(want, a.text)
		}
		if strings.Contains(text, "$") {
			return
		}
		if !ran || !slices.Equal(got, want) {
			t.Fatalf("%q: the engine sees %q, we see %q", text, got, want)
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add("# S-NAT-01: title\n# rules: NAT-10/17 7.1 labels: nat core\n# knobs: outerTtl=64\n# matrix: a=b,c\n# prose\n")
	f.Add("# T-1: x\n# profiles: >=ws2022 <=ws2025,ws2019\n# rule: x\n")
	f.Add("#\n#:\n# a:b\n")
	f.Fuzz(func(t *testing.T, text string) {
		sc := &Scenario{program: &program{}}
		p := &problems{file: "f"}
		n := parseHeader(sc, text, p)
		if n < 0 || n > strings.Count(text, "\n")+1 {
			t.Fatalf("%d lines of header", n)
		}
		if len(p.list) == 0 && (sc.ID == "" || sc.Title == "" || len(sc.Rules) == 0) {
			t.Fatalf("accepted: %+v", sc)
		}
		if len(sc.Variants) > maxVariants {
			t.Fatal("too many variants")
		}
		_ = p.err()
	})
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{
		"udp 10.0.0.1:1 > 10.0.0.2:2 'x' ttl=5 df", "vxlan vni=1 inner eth a>b", "arp who-has 10.0.0.1 tell 10.0.0.2", "icmp frag-needed quoted udp *:5 > *",
		"bytes=0011 mask=1:1", "save=a:sport,b:ip.src", "tcp flags=S+|R", "ip6 fd00::/64 > [fd00::1]", "payload=hex:00 size=>=5", "proto=132 untagged",
	} {
		f.Add(s)
	}
	frames := [][]byte{{}, make([]byte, 14), make([]byte, 60)}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\n") {
			t.Skip()
		}
		pat, err := mkPattern(text)
		if err != nil {
			return
		}
		for _, frame := range frames {
			p := pat.decode(frame)
			diffs, wrong := pat.compare(p)
			if pat.matches(p) != (wrong == 0) || len(diffs) < wrong {
				t.Fatalf("%q: matches %v, %d differ", text, pat.matches(p), wrong)
			}
		}
	})
}

func FuzzBuildFrame(f *testing.F) {
	for _, s := range []string{
		"eth(02-00-00-00-00-01>broadcast) vlan(7) ip(10.0.0.1>10.0.0.2 ttl=0 df) udp(1>2) 'it''s'",
		"eth(02-00-00-00-00-01>broadcast) ip(10.0.0.1>10.0.0.2) vxlan(vni=5 flags=0) eth(02-00-00-00-00-01>broadcast) arp(who-has 10.0.0.1 tell 10.0.0.2)",
		"eth(02-00-00-00-00-01>broadcast) ip(10.0.0.1>10.0.0.2) icmp(unreachable) quote ip(10.0.0.2>10.0.0.1) udp(1>2)",
		"eth(02-00-00-00-00-01>broadcast) dhcp(offer yiaddr=10.0.0.1) pad(100)", "eth(a>b", "eth(02-00-00-00-00-01>broadcast) size(65507)",
		"eth(02-00-00-00-00-01>broadcast) ip6(fe80::1>ff02::1) nd(redirect target=fe80::1 dest=10.0.0.1)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &parser{word: findWord("frame"), sc: newScope(nil), line: &line{}}
		b, err := p.buildFrame(text)
		if err != nil || p.err != nil {
			return
		}
		if len(b) < wire.EthernetLen || len(b) > 1<<17 {
			t.Fatalf("%q: %d bytes", text, len(b))
		}
		wire.Describe(b)
	})
}

func FuzzParseScenario(f *testing.F) {
	f.Add([]byte(mkSource("send c1 udp > 10.1.0.20:53\nexpect c3 udp save=p:sport\nwire h1 h2 udp *:$p > *")))
	f.Add([]byte(mkSource("[profile:ws2022] ! network h1 n9 x.json\nerror 0x20\n-- x.json --\n{\"Name\":\"${id:n1}\"}")))
	f.Add([]byte("# T-1: x\n# rules: NAT-10\n# matrix: a=udp,tcp\nhost h1 ip=10.0.0.1/24\nsend h1 $a 10.0.0.1:1 > 10.0.0.2:5\n"))
	f.Add([]byte(mkSource("env A=b\n! exec h1 stdin=i files=i,d/j env=C=${dir:work} tick=0s ./plug x\njson a[0] save=v\nadopt p h1 name=$v\ncalls x\ncmp calls i\ncontainer q h1 endpoints=none\n-- i --\n$v\n-- d/j --\n")))
	bad, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range bad {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sc, err := Parse("a/f.txtar", data)
		if (sc == nil) == (err == nil) {
			t.Fatalf("scenario %v, error %v", sc, err)
		}
		if err != nil {
			var fe *FileError
			if !errors.As(err, &fe) || fe.Line < 0 || fe.Line > strings.Count(string(data), "\n")+2 || fe.Msg == "" {
				t.Fatalf("error %v", err)
			}
			return
		}
		// What parses also runs to some end. Long series are cut by time.
		for _, v := range sc.Expand()[:1] {
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			res := Run(ctx, v, &fake{slow: func(context.Context) {
				if n++; n > 50 {
					cancel()
				}
			}}, Options{})
			cancel()
			if res.Status == "" || strings.HasPrefix(res.Reason, "panic") {
				t.Fatalf("%s %s\n%s", res.Status, res.Reason, res.Log)
			}
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a.b[0].c", "Policies[Type=ACL].Settings", "x[len]", "[0][1]", "a..b", "a[", "a]b", "[x=]"} {
		f.Add(s)
	}
	doc := []byte(`{"a":[{"b":1},{"b":"x"}],"Policies":[{"Type":"ACL"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		path, err := parsePath(text)
		if err != nil {
			return
		}
		if len(path) == 0 {
			t.Fatalf("%q is accepted as an empty path", text)
		}
		_, _ = walk(doc, path)
	})
}
