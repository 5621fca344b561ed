package writer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

const childEnv = "THROUGHLINE_WRITER_CRASH_CHILD"

// child tells a child process where everything is.
type child struct {
	Brokers                   []string
	OrgURL, KeyFile, Snapshot string
	// Token is this process's own, so that the org can tell who sent what.
	Token string
	// Jobs makes small backlogs go through bulk jobs.
	Jobs bool
}

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		fmt.Fprintln(os.Stderr, runChild(context.Background(), spec))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runChild is a whole writer, until it is killed.
func runChild(ctx context.Context, spec string) error {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	inst, err := seal.LoadOrCreateInstallation(c.KeyFile)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(c.Snapshot)
	if err != nil {
		return err
	}
	snapshot := new(configv1.Snapshot)
	if err := proto.Unmarshal(data, snapshot); err != nil {
		return err
	}
	view, err := settings.NewView(snapshot, inst)
	if err != nil {
		return err
	}
	client, err := kafka.New(kafka.DefaultConfig(c.Brokers...), kafka.Deps{})
	if err != nil {
		return err
	}
	cfg := writer.DefaultConfig()
	cfg.SessionTimeout = 2 * time.Second
	cfg.Lanes.BatchRecords, cfg.Lanes.LookAfter = 20, 10*time.Millisecond
	if c.Jobs {
		cfg.Lanes.BulkFrom, cfg.Lanes.BulkAfter, cfg.Lanes.Parallelism = salesforce.MaxCollection, 0, 1
		cfg.Lanes.BulkPollMin, cfg.Lanes.BulkPollMax = 10*time.Millisecond, 50*time.Millisecond
	}
	org := salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{
		AccessToken: secret.New(c.Token), InstanceURL: c.OrgURL,
	}, salesforce.Deps{})
	s, err := writer.New(cfg, writer.Deps{
		Broker: client, Settings: settings.Static(view), Orgs: orgs{"main": org}, DeadLetter: deadletter.Encode(inst),
	})
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), errors.New("the child was not killed"))
}

// killer kills the child in the middle of its requests: the org pulls the trigger.
type killer struct {
	mu     sync.Mutex
	pid    int
	in     int // requests until the kill
	killed chan struct{}
}

// arm starts a process that is killed at one of its requests. None of them passes before it is known whom to kill.
func (k *killer) arm(start func() *exec.Cmd, requests int) (*exec.Cmd, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cmd := start()
	k.pid, k.in, k.killed = cmd.Process.Pid, requests, make(chan struct{})
	return cmd, k.killed
}

func (k *killer) pass() (killed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pid == 0 {
		return false
	}
	if k.in--; k.in > 0 {
		return false
	}
	_ = syscall.Kill(k.pid, syscall.SIGKILL)
	k.pid = 0
	close(k.killed)
	return true
}

// crashBundle is a broker and an org that outlive the writers.
type crashBundle struct {
	t      *testing.T
	org    *orgtest.Org
	client *kafka.Client
	spec   child
	view   *settings.View
	killer killer
	runs   int
}

func setupCrash(t *testing.T) *crashBundle {
	t.Helper()
	b := &crashBundle{t: t, org: orgtest.New(t)}
	kafkaBroker, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(kafkaBroker.Close)
	dir := t.TempDir()
	b.spec = child{
		Brokers: kafkaBroker.Addr(), OrgURL: b.org.URL(),
		KeyFile: filepath.Join(dir, "key"), Snapshot: filepath.Join(dir, "snapshot"),
	}
	inst, err := seal.LoadOrCreateInstallation(b.spec.KeyFile)
	require.NoError(t, err)
	keys, err := inst.NewKeys("acme")
	require.NoError(t, err)
	snapshot := &configv1.Snapshot{Revision: 1, Workspaces: []*configv1.WorkspaceSnapshot{{
		Workspace: &configv1.Workspace{Id: "acme"}, SealedKeys: keys,
		Connections: []*configv1.Connection{{Workspace: "acme", Id: "main"}},
	}}}
	data, err := proto.Marshal(snapshot)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.spec.Snapshot, data, 0o600))
	b.view, err = settings.NewView(snapshot, inst)
	require.NoError(t, err)
	b.client, err = kafka.New(kafka.DefaultConfig(b.spec.Brokers...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	specs := []kafka.TopicSpec{{Name: topic.Ledger, Partitions: 2, Compacted: true}}
	for _, name := range []string{topic.Writes, topic.Parked, topic.Outcomes, topic.Changes, topic.DeadLetters} {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: 2})
	}
	require.NoError(t, b.client.EnsureTopics(t.Context(), specs...))
	return b
}

// run starts a child. The child ends when it is killed.
func (b *crashBundle) run() *exec.Cmd {
	b.t.Helper()
	b.runs++
	b.spec.Token = fmt.Sprint("token", b.runs)
	spec, err := json.Marshal(b.spec)
	require.NoError(b.t, err)
	cmd := exec.CommandContext(b.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	require.NoError(b.t, cmd.Start())
	return cmd
}

// publish puts n inserts, and n revisions of a few upserts, on the writes topic.
func (b *crashBundle) publish(n int) {
	b.t.Helper()
	var messages []stage.Message
	add := func(w *streamv1.Write, fields ...*streamv1.FieldValue) {
		messages = append(messages, b.message(w, fields...))
	}
	text := func(name, v string) *streamv1.FieldValue {
		return &streamv1.FieldValue{Field: name, Value: &streamv1.FieldValue_Text{Text: v}}
	}
	for i := range n {
		key := fmt.Sprint("task", i)
		add(&streamv1.Write{
			WriteKey: key, Revision: 1, Object: "Task", Operation: streamv1.Operation_OPERATION_INSERT,
			Marker: "Throughline: " + key, MarkerField: "Description", MarkerScopeField: "WhoId",
			MarkerScopeValue: fmt.Sprint("003", i%9),
		}, text("Description", "seen\nThroughline: "+key), text("WhoId", fmt.Sprint("003", i%9)))
		key = fmt.Sprint("row", i%37)
		add(&streamv1.Write{
			WriteKey: key, Revision: int64(i + 1), Object: "Engagement__c",
			Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "External_Id__c", ExternalId: key,
		}, &streamv1.FieldValue{Field: "Rev__c", Value: &streamv1.FieldValue_Number{Number: float64(i + 1)}})
	}
	require.NoError(b.t, b.client.Publish(b.t.Context(), messages...))
}

// publishRows puts some revisions of n upserts on the writes topic.
func (b *crashBundle) publishRows(revisions, n int) {
	b.t.Helper()
	var messages []stage.Message
	for i := range revisions * n {
		key := fmt.Sprint("row", i%n)
		messages = append(messages, b.message(&streamv1.Write{
			WriteKey: key, Revision: int64(i + 1), Object: "Engagement__c",
			Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "External_Id__c", ExternalId: key,
		}, &streamv1.FieldValue{Field: "Rev__c", Value: &streamv1.FieldValue_Number{Number: float64(i + 1)}}))
	}
	require.NoError(b.t, b.client.Publish(b.t.Context(), messages...))
}

// message is a write as mapping would publish it.
func (b *crashBundle) message(w *streamv1.Write, fields ...*streamv1.FieldValue) stage.Message {
	b.t.Helper()
	ws, _ := b.view.Workspace("acme")
	plain, err := proto.Marshal(&streamv1.FieldValues{Fields: fields})
	require.NoError(b.t, err)
	w.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	w.Workspace, w.Connection, w.VisitId, w.OccurredAt = "acme", "main", "visit", timestamppb.Now()
	w.ContentHash = ws.Keys().Hash(plain)
	value, err := proto.Marshal(w)
	require.NoError(b.t, err)
	return stage.Message{
		Topic: topic.Writes, Key: topic.ConnectionKey("acme", "main"), Value: value,
		ID: fmt.Sprint(w.GetWriteKey(), "/", w.GetRevision()), Type: topic.TypeWrite, Time: time.Now(),
	}
}

func (b *crashBundle) settled() bool {
	lags, err := b.client.Lag(b.t.Context(), "tl-writer", topic.Writes)
	if err != nil {
		return false
	}
	var lag int64
	for _, l := range lags {
		lag += l.Records()
	}
	return lag == 0
}

// TestCrash kills the writer with SIGKILL while requests are under way, again and again. Before the commit means between
// the saved intent and the call's effect; after it, between the effect and the ledger.
func TestCrash(t *testing.T) {
	t.Parallel()
	const writes = 400
	for _, when := range []string{"Before", "After"} {
		t.Run("KilledJust"+when+"TheOrgCommitsNothingIsLostOrDoubled", func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "XC-4")
			t.Attr("requirement", "IMM-21")
			b := setupCrash(t)
			var kills atomic.Int64
			if when == "Before" {
				b.org.Fault = func(orgtest.Request) *orgtest.Fault {
					if b.killer.pass() {
						kills.Add(1)
						return &orgtest.Fault{}
					}
					return nil
				}
			} else {
				b.org.Committed = func(orgtest.Request) {
					if b.killer.pass() {
						kills.Add(1)
					}
				}
			}
			b.publish(writes)
			for _, requests := range []int{3, 6, 5} {
				cmd, killed := b.killer.arm(b.run, requests)
				<-killed
				_ = cmd.Wait()
			}
			cmd := b.run()
			require.Eventually(t, b.settled, patience, 50*time.Millisecond)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()

			require.EqualValues(t, 3, kills.Load())
			markers := map[any]int{}
			for _, r := range b.org.Records("Task") {
				markers[r.Fields["Description"]]++
			}
			require.Len(t, markers, writes, "lost")
			for marker, n := range markers {
				require.Equal(t, 1, n, "doubled: %v", marker)
			}
			rows := b.org.Records("Engagement__c")
			require.Len(t, rows, 37)
			for _, r := range rows {
				require.IsNonDecreasing(t, r.History)
				require.Greater(t, r.History[len(r.History)-1], float64(writes-38))
			}
			b.checkOutcomes(2 * writes)
		})
	}
}

// checkOutcomes checks that every write revision has an outcome and the newest one says how it ended.
func (b *crashBundle) checkOutcomes(want int) {
	b.t.Helper()
	final := map[string]streamv1.Status{}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	require.NoError(b.t, b.client.Scan(ctx, kafka.ScanRequest{Topic: topic.Outcomes, Visit: func(r stage.Record) bool {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		final[fmt.Sprint(o.GetWriteKey(), "/", o.GetRevision())] = o.GetStatus()
		return true
	}}))
	require.Len(b.t, final, want)
	for key, status := range final {
		require.Contains(b.t, []streamv1.Status{streamv1.Status_STATUS_WRITTEN, streamv1.Status_STATUS_SKIPPED}, status, key)
	}
}
