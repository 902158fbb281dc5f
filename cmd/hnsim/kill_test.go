//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/standin"
)

var (
	killRounds = flag.Int("kill-rounds", 20, "how often TestKilledServicesLoseNothing kills the service")
	killSeed   = flag.Uint64("kill-seed", 0, "its seed; 0 is a new one")
)

// object is what a client knows of an object of its own.
type object struct {
	kind string // of the collection
	// there is what was acknowledged last; unsure means that an operation on it
	// was under way when the service was killed.
	there, unsure bool
	doc           string // as it was acknowledged
}

// killer is a client that changes objects until the service is gone.
type killer struct {
	t       *testing.T
	r       *rand.Rand
	objects map[string]*object
	network string
	dll     bool // goes through the protocol of the DLLs
	addr    string
	token   string
	client  http.Client
	acked   int
}

func (k *killer) id() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", k.r.Uint32(), k.r.IntN(1<<16), k.r.IntN(1<<12), k.r.IntN(1<<12), k.r.Int64N(1<<48))
}

// do carries out one v1 or REST request. ok is false when the service is gone;
// then nobody knows whether it was carried out.
func (k *killer) do(method, path, body string) (answer string, ok bool) {
	if k.dll {
		return k.hnsCall(method, path, body)
	}
	req, err := http.NewRequest(method, "http://"+k.addr+"/hns"+path, strings.NewReader(body))
	if err != nil {
		k.t.Error(err)
		return "", false
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	resp, err := k.client.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", false
	}
	return k.output(method+" "+path, string(raw))
}

func (k *killer) hnsCall(method, path, body string) (string, bool) {
	c, err := standin.Dial(k.addr, k.token, "", uint64(k.r.Uint32())+1)
	if err != nil {
		return "", false
	}
	defer c.Close()
	resp, err := c.Call(standin.Request{Function: "HNSCall", Texts: []standin.Text{standin.Str(method), standin.Str(path), standin.Str(body)}})
	if err != nil {
		return "", false
	}
	return k.output(method+" "+path, resp.Texts[0].Value)
}

// output takes the result out of the envelope.
func (k *killer) output(what, envelope string) (string, bool) {
	var e struct {
		Success bool
		Output  json.RawMessage
	}
	if err := json.Unmarshal([]byte(envelope), &e); err != nil || !e.Success {
		k.t.Errorf("%s: %v %s", what, err, envelope)
		return "", false
	}
	k.acked++
	return string(e.Output), true
}

// step changes one object.
func (k *killer) step() (alive bool) {
	var have []string
	for id, o := range k.objects {
		if o.there && !o.unsure {
			have = append(have, id)
		}
	}
	if len(have) > 8 || len(have) > 0 && k.r.IntN(3) == 0 {
		id := have[k.r.IntN(len(have))]
		o := k.objects[id]
		o.unsure = true
		if _, ok := k.do("DELETE", "/"+o.kind+"/"+id, ""); !ok {
			return false
		}
		o.there, o.unsure = false, false
		return true
	}
	id := k.id()
	o := &object{kind: "endpoints", unsure: true}
	body := `{"ID":"` + id + `","VirtualNetwork":"` + k.network + `","Policies":[{"Type":"NAT","Protocol":"TCP","InternalPort":80}]}`
	if k.r.IntN(3) == 0 {
		o.kind, body = "namespaces", `{"ID":"`+id+`"}`
	}
	k.objects[id] = o
	doc, ok := k.do("POST", "/"+o.kind+"/", body)
	if !ok {
		return false
	}
	o.there, o.unsure, o.doc = true, false, doc
	return true
}

// join turns to a service that has just started and settles what it knows.
func (k *killer) join(v *victim) {
	k.addr, k.token = v.addr, v.token
	k.client.CloseIdleConnections()
	k.settle()
}

func (k *killer) makeNetwork() string {
	out, _ := k.do("POST", "/networks/", `{"Name":"n","Type":"nat","Subnets":[{"AddressPrefix":"172.20.0.0/16"}]}`)
	var doc struct{ ID string }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		k.t.Fatal(err)
	}
	return doc.ID
}

// settle compares what the service has after it was killed with what was
// acknowledged, and takes over what was unsure.
func (k *killer) settle() {
	for id, o := range k.objects {
		got, there := k.look(o.kind, id)
		switch {
		case o.unsure:
			o.there, o.unsure = there, false
			if there {
				o.doc = got
			}
		case o.there && !there:
			k.t.Errorf("%s %s was acknowledged and is lost", o.kind, id)
		case !o.there && there:
			k.t.Errorf("%s %s was deleted and is back", o.kind, id)
		case there && got != o.doc:
			k.t.Errorf("%s %s has changed:\n was %s\n  is %s", o.kind, id, o.doc, got)
		}
		if !o.there {
			delete(k.objects, id)
		}
	}
}

func (k *killer) look(kind, id string) (doc string, there bool) {
	req, err := http.NewRequest("GET", "http://"+k.addr+"/v1/"+kind+"/"+id+"?shape=v1", nil)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	resp, err := k.client.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		k.t.Fatalf("%v %s %s", err, resp.Status, raw)
	}
	return strings.TrimSpace(string(raw)), resp.StatusCode == http.StatusOK
}

// victim is a running service.
type victim struct {
	t           *testing.T
	cmd         *exec.Cmd
	errOut      bytes.Buffer
	addr, token string
}

// spawn starts the service and waits until it serves, or only starts it.
func spawn(t *testing.T, binary, dir string, wait bool) *victim {
	t.Helper()
	tokens := filepath.Join(dir, "token")
	_ = os.Remove(tokens) // a killed service leaves it
	v := &victim{t: t, cmd: exec.Command(binary, "serve", "--profile", "ws2025", "--state", filepath.Join(dir, "state"), "--token-file", tokens, "--log-level", "error")}
	v.cmd.Stderr = &v.errOut
	v.cmd.Dir = dir
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		raw, _ := os.ReadFile(tokens)
		if words := strings.Fields(string(raw)); len(words) == 2 {
			v.addr, v.token = words[0], words[1]
			return v
		}
		if !wait {
			return v
		}
		time.Sleep(5 * time.Millisecond)
	}
	v.kill()
	t.Fatalf("the service does not start: %s", v.errOut.String())
	return nil
}

// kill ends the service, which must not have ended by itself.
func (v *victim) kill() {
	v.t.Helper()
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
	if v.errOut.Len() > 0 {
		v.t.Errorf("the service complained: %s", v.errOut.String())
	}
}

// TestKilledServicesLoseNothing kills the service with SIGKILL again and again
// while clients change objects: what was acknowledged is there afterwards as
// it was, and the file can always be read.
func TestKilledServicesLoseNothing(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill-seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	binary := filepath.Join(dir, "hnsim")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var clients []*killer
	for i := range 8 {
		clients = append(clients, &killer{t: t, r: rand.New(rand.NewPCG(seed, uint64(i+2))), objects: map[string]*object{}, dll: i%2 == 0, client: http.Client{Timeout: 20 * time.Second}})
	}
	network := ""
	for round := range *killRounds {
		if round > 0 && r.IntN(3) == 0 { // in the middle of starting
			v := spawn(t, binary, dir, false)
			time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
			v.kill()
		}
		v := spawn(t, binary, dir, true)
		for _, k := range clients {
			k.join(v)
		}
		if network == "" {
			network = clients[0].makeNetwork()
		}
		var wg sync.WaitGroup
		for _, k := range clients {
			k.network = network
			wg.Add(1)
			go func() {
				defer wg.Done()
				for !t.Failed() && k.step() {
				}
			}()
		}
		time.Sleep(time.Duration(20+r.IntN(200)) * time.Millisecond)
		v.kill()
		wg.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	v := spawn(t, binary, dir, true)
	acked, left := 0, 0
	for _, k := range clients {
		k.join(v)
		acked, left = acked+k.acked, left+len(k.objects)
	}
	v.kill()
	t.Logf("%d rounds, %d acknowledged changes, %d objects at the end", *killRounds, acked, left)
	if acked < *killRounds {
		t.Errorf("only %d changes were acknowledged: the test tests nothing", acked)
	}
}
