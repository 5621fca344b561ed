package faults

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer"
)

var (
	program        = flag.String("faults.program", "", "the throughline binary to run the seeds of processes with; empty: none are run")
	processSeeds   = flag.Int("faults.processes", 6, "how many seeds of processes to run, from 1 on")
	processSession = 2 * time.Second
)

// TestProcesses runs the program itself: the simulator, the config service and the writers, each a process. The writers are
// killed with SIGKILL as planned, and the same judge judges.
func TestProcesses(t *testing.T) {
	t.Parallel()
	if *program == "" {
		t.Skip("needs -faults.program; make faults-processes builds it")
	}
	first, last := uint64(1), uint64(*processSeeds)
	if *theSeed != 0 {
		first, last = *theSeed, *theSeed
	}
	total := new(coverage)
	t.Cleanup(func() {
		t.Log(total)
		if !t.Failed() {
			require.GreaterOrEqual(t, total.deaths(), int(last-first)+1, "the seeds promise more deaths than there were")
		}
	})
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			t.Parallel()
			p := processPlan(seed)
			if *theSeed != 0 {
				t.Log(p)
			}
			w, events := newProcesses(t, p)
			wrong, settled := w.run()
			w.readChanges(t, events)
			wrong = append(wrong, judge(p, w.evidence())...)
			if !settled {
				wrong = append(wrong, "not everything settled after the faults had ended")
			}
			total.add(w.hits)
			if len(wrong) > 0 {
				t.Errorf("%s\n\n%s\n\nrun it again:\n  make faults-processes SEED=%d", p, strings.Join(wrong, "\n"), seed)
			}
		})
	}
}

// TestProcessesAreJudged sets a record back and repairs it: at the end nothing can be seen of it, but the changes tell.
func TestProcessesAreJudged(t *testing.T) {
	t.Parallel()
	if *program == "" {
		t.Skip("needs -faults.program; make faults-processes builds it")
	}
	p := calm(kill{at: afterRequest, in: 4})
	w, events := newProcesses(t, p)
	w.calmly()
	w.readChanges(t, events)
	require.Equal(t, 1, w.hits["killed "+afterRequest.String()])
	require.Empty(t, judge(p, w.evidence()))
	require.NotEmpty(t, w.history.read["alpha/Engagement__c"])
	lead := w.id("beta", "@lead0")
	w.set("beta", lead, "v9")
	w.set("beta", lead, "v1")
	w.readChanges(t, events)
	require.Contains(t, strings.Join(judge(p, w.evidence()), "\n"), "stale on the way: Lead update-lead0 of org beta was set to v1 after v9")
}

// processPlan is a seed's plan with deaths that can be brought about from outside: beside those at requests, such that follow
// what the writers have said.
func processPlan(seed uint64) *plan {
	s := shapeOf(seed)
	s.moved = "" // accepting another org is config's affair, and theirs are made once
	p := planOf(seed, s)
	p.broker = brokerFaults{} // it is not between
	for i := range p.kills {
		if k := &p.kills[i]; k.at >= beforeProduce && k.at < ordinary {
			k.at, k.in = afterOutcome, 5*k.in
		}
	}
	if len(p.kills) == 0 {
		p.kills, p.shifts = []kill{{at: afterRequest, in: 5}}, []shift{stay}
	}
	// Backlogs big enough for a job are not for sure: who waits for its steps first may wait until all is done.
	slices.SortStableFunc(p.kills, func(a, b kill) int { return cmp.Compare(late(a.at), late(b.at)) })
	return p
}

func late(m moment) int {
	if m == beforeStep || m == afterStep {
		return 1
	}
	return 0
}

// processes is a world whose inhabitants are processes. What outlives the writers, except for the broker, runs until the end.
type processes struct {
	*world
	dir     string
	trigger trigger
	config  string // the configuration file
	target  string // the config service's address
	started int    // writers
}

// newProcesses also returns the address at which the orgs tell of their changes.
func newProcesses(t *testing.T, p *plan) (w *world, events string) {
	t.Helper()
	w = newBroker(t, p)
	ps := &processes{world: w, dir: t.TempDir()}
	w.launch = ps.launch
	url, events := ps.simulate()
	w.simulated = learn(t, p, url)
	address := between(t, w.url, &ps.trigger)
	ps.configure()
	ps.serveConfig(address)
	return w, events
}

// simulate starts the simulator and returns its address and that of its Pub/Sub API.
func (ps *processes) simulate() (url, events string) {
	ps.t.Helper()
	path := ps.write("orgs.yaml", scenario(ps.plan))
	cmd := exec.CommandContext(ps.t.Context(), *program, "simulate", "--listen", "127.0.0.1:0", "--scenario", path, "--pubsub", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	require.NoError(ps.t, err)
	ps.run("simulator", cmd)
	lines := bufio.NewScanner(out)
	for _, address := range []*string{&url, &events} {
		require.True(ps.t, lines.Scan(), "the simulator says where it is")
		_, *address, _ = strings.Cut(lines.Text(), ": ")
	}
	return url, events
}

// configure writes the configuration and the files it names.
func (ps *processes) configure() {
	ps.t.Helper()
	var err error
	ps.inst, err = seal.LoadOrCreateInstallation(filepath.Join(ps.dir, "installation.key"))
	require.NoError(ps.t, err)
	listen := addrtest.Free(ps.t)
	cfg := ps.plan.config()
	cfg.Lanes.LookAfter, cfg.SessionTimeout, cfg.DrainTimeout = 300*time.Millisecond, processSession, 5*time.Second
	all, err := yaml.Marshal(struct {
		Writer writer.Config `yaml:"writer"`
	}{cfg})
	require.NoError(ps.t, err)
	ps.config = ps.write("throughline.yaml", string(all)+fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
installation_key_file: %[1]s/installation.key
admin_token_file: %[2]s
kafka: {brokers: [%[4]q]}
settings: {target: %[3]q, token_file: %[5]s, save_path: "", retry_min: 20ms, retry_max: 100ms}
orgs: {salesforce: {trusted_hosts: [127.0.0.1], timeout: 10m}, token_retry: 50ms}
config:
  listen: %[3]q
  embedded: true
  trusted_hosts: [127.0.0.1]
  database: {sqlite_path: %[1]s/config.db}
  access_tokens: {refusal_hold: 20ms}
  callers: [{name: test, role: admin, token_file: %[2]s}, {name: services, role: service, token_file: %[5]s}]
`, ps.dir, ps.write("admin.token", "for-tests-only-0123456789abcdef-admin"), listen, ps.brokers[0],
		ps.write("service.token", "for-tests-only-0123456789abcdef-service")))
	ps.target = listen
}

// serveConfig starts the config service, tells it of the orgs, and learns the keys.
func (ps *processes) serveConfig(orgs string) {
	ps.t.Helper()
	ps.run("config", exec.CommandContext(ps.t.Context(), *program, "serve", "config", "--config", ps.config))
	var docs strings.Builder
	fmt.Fprintf(&docs, "kind: Workspace\nid: %s\nname: Acme\nlanguage: ja\ntime_zone: Asia/Tokyo\n", workspace)
	for _, o := range ps.plan.orgs {
		fmt.Fprintf(&docs, "---\nkind: Connection\nworkspace: %s\nid: %s\nlogin_url: %s/orgs/%s\nclient_credentials: {client_id: app, client_secret: secret}\n",
			workspace, o.key, orgs, o.key)
	}
	path := ps.write("acme.yaml", docs.String())
	require.Eventually(ps.t, func() bool { // until it listens
		return exec.CommandContext(ps.t.Context(), *program, "apply", "--config", ps.config, "-f", path).Run() == nil
	}, patience, 50*time.Millisecond, "the config service takes what it is told")
	ps.learnKeys()
}

// learnKeys gets the workspace's keys as a service does.
func (ps *processes) learnKeys() {
	ps.t.Helper()
	client, err := settings.NewClient(settings.Config{
		Target: ps.target, TokenFile: filepath.Join(ps.dir, "service.token"),
	}, settings.Deps{Installation: ps.inst})
	require.NoError(ps.t, err)
	ctx, cancel := context.WithCancel(ps.t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { _ = client.Run(ctx) })
	defer watching.Wait()
	defer cancel()
	require.Eventually(ps.t, func() bool {
		view := client.View()
		if view == nil {
			return false
		}
		ws, ok := view.Workspace(workspace)
		ps.view = view
		return ok && len(ws.Connections()) == len(ps.plan.orgs)
	}, patience, 10*time.Millisecond, "the settings arrive")
}

// launch starts a writer that is killed as told.
func (ps *processes) launch(k kill) *running {
	ps.t.Helper()
	ps.started++
	admin := addrtest.Free(ps.t)
	cmd := exec.CommandContext(ps.t.Context(), *program, "serve", "writer", "--config", ps.config)
	cmd.Env = append(os.Environ(), "THROUGHLINE_ADMIN__LISTEN="+admin)
	ended := ps.run(fmt.Sprint("writer-", ps.started), cmd)
	if ps.plan.replicas > 1 {
		ps.awaitMember(admin)
	}
	r := &running{dead: make(chan struct{})}
	if k.in > 0 {
		r.dead = ps.trigger.arm(cmd.Process, k)
		if k.at == afterOutcome {
			go ps.follow(r.dead)
		}
	}
	r.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	return r
}

// awaitMember waits until a writer has its share of the work. The embedded broker never gives up a member whose connection
// ended while it waited for its share: nobody is killed before.
func (ps *processes) awaitMember(admin string) {
	ps.t.Helper()
	require.Eventually(ps.t, func() bool {
		req, err := http.NewRequestWithContext(ps.t.Context(), http.MethodGet, "http://"+admin+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond, "the writer is ready")
}

// follow lets the trigger know of every outcome from now on, until the writer is dead.
func (ps *processes) follow(dead <-chan struct{}) {
	ctx, cancel := context.WithCancel(ps.t.Context())
	defer cancel()
	next := int64(-1)
	for {
		select {
		case <-dead:
			return
		case <-ctx.Done():
			return
		default:
		}
		f, err := ps.kafka.Fetch(ctx, stage.FetchRequest{Topic: topic.Outcomes, Offset: max(next, 0), MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 50 * time.Millisecond})
		switch {
		case err != nil:
			continue
		case next < 0:
			next = f.End
		default:
			next = f.Next
			ps.trigger.pass(afterOutcome, len(f.Records))
		}
	}
}

// run starts a process whose log is shown if the test fails. The returned channel is closed when it has ended.
func (ps *processes) run(name string, cmd *exec.Cmd) <-chan struct{} {
	ps.t.Helper()
	log, err := os.Create(filepath.Join(ps.dir, name+".log"))
	require.NoError(ps.t, err)
	cmd.Stderr = log
	require.NoError(ps.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	ps.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = log.Close()
		if !ps.t.Failed() {
			return
		}
		if text, err := os.ReadFile(log.Name()); err == nil {
			ps.t.Logf("%s said last:\n%s", name, text[max(0, len(text)-2000):])
		}
	})
	return ended
}

func (ps *processes) write(name, text string) (path string) {
	ps.t.Helper()
	path = filepath.Join(ps.dir, name)
	require.NoError(ps.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
