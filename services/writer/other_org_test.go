package writer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	orgpool "github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

const (
	firstOrg = "00D000000000001EAA"
	otherOrg = "00D000000000002EAA"
)

// reconnected is a connection, main, that is with one of two orgs: what config hands out tokens of, and what the settings say.
type reconnected struct {
	*testBundle

	mu     sync.Mutex
	issues string // the org that config's tokens are of
	asked  int
}

func setupReconnected(t *testing.T) *reconnected {
	t.Helper()
	r := &reconnected{testBundle: setup(t), issues: firstOrg}
	cfg := orgpool.DefaultConfig()
	cfg.TokenRetry = time.Millisecond
	pool, err := orgpool.New(cfg, orgpool.Deps{Tokens: r, Settings: r.views})
	require.NoError(t, err)
	r.lookup = pool
	r.says(firstOrg, "", configv1.ConnectionState_CONNECTION_STATE_READY)
	return r
}

// GetAccessToken is config's.
func (r *reconnected) GetAccessToken(
	context.Context, *configv1.GetAccessTokenRequest, ...grpc.CallOption,
) (*configv1.GetAccessTokenResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	org := r.orgs["main"]
	if r.issues == otherOrg {
		org = r.orgs["other"]
	}
	return &configv1.GetAccessTokenResponse{
		AccessToken: "token", InstanceUrl: org.URL(), OrgId: r.issues, ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	}, nil
}

func (r *reconnected) issue(org string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.issues, r.asked = org, 0
}

func (r *reconnected) askedFor() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// says is what the writer's settings say of the connection.
func (r *reconnected) says(org, first string, state configv1.ConnectionState) {
	r.t.Helper()
	snapshot := r.build.Snapshot()
	for _, c := range snapshot.GetWorkspaces()[0].GetConnections() {
		if c.GetId() == "main" {
			c.Version = time.Now().UnixNano()
			c.Org, c.FirstOrg = &configv1.Org{Id: org}, first
			c.Status = &configv1.ConnectionStatus{State: state}
		}
	}
	view, err := settings.NewView(snapshot, r.build.Installation())
	require.NoError(r.t, err)
	r.views.Store(view)
}

// accept is what an administrator does who accepts another org.
func (r *reconnected) accept(org string) {
	r.issue(org)
	r.says(org, firstOrg, configv1.ConnectionState_CONNECTION_STATE_READY)
}

// task is a Task that is made once and looked for by its marker.
func (r *reconnected) task(key string, revision int64) *streamv1.Write {
	w := r.write("main", key, revision)
	w.Object, w.Operation, w.ExternalIdField, w.ExternalId = "Task", streamv1.Operation_OPERATION_INSERT, "", ""
	w.Marker, w.MarkerField = "Ref: tl-"+key, "Description"
	return w
}

func (r *reconnected) deadLetters() int { return len(r.broker.Records(topic.DeadLetters)) }

func in(org string, w *streamv1.Write) *streamv1.Write {
	w.Org = org
	return w
}

func TestTheSameOrgIsReconnectedAndNothingIsLostOrDone(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	r := setupReconnected(t)
	s, stop := r.start()
	r.send(r.write("main", "row", 1), r.task("call", 2))
	r.eventually(func() bool { return r.final()["row/1"] == "WRITTEN" && r.final()["call/2"] == "WRITTEN" }, "written")

	r.says(firstOrg, "", configv1.ConnectionState_CONNECTION_STATE_REVOKED)
	for i := range 20 {
		r.send(r.write("main", fmt.Sprint("row", i), 3))
	}
	r.send(r.write("main", "row", 4))
	r.eventually(func() bool { return s.Stats().Held == 21 }, "parked")
	stop() // the ledger and what is parked are of the connection and not of the process

	r.says(firstOrg, "", configv1.ConnectionState_CONNECTION_STATE_READY) // by another user: the version of the connection is another
	_, stop = r.start()
	defer stop()
	r.send(r.write("main", "row", 1), r.task("call", 2), r.task("call", 5)) // and some come again
	r.eventually(func() bool {
		return r.final()["row/4"] == "WRITTEN" && r.final()["row19/3"] == "WRITTEN" && r.final()["call/5"] == "SKIPPED DUPLICATE_EVENT"
	}, "what was parked is written")
	r.eventually(func() bool { return r.broker.Committed("tl-writer-parked") == 21 }, "settled")
	require.Len(t, r.orgs["main"].Records("Engagement__c"), 21)
	require.Len(t, r.orgs["main"].Records("Task"), 1)
	for _, row := range r.orgs["main"].Records("Engagement__c") {
		require.IsIncreasing(t, append([]float64{0}, row.History...), "each revision once, in order")
	}
	require.Zero(t, r.deadLetters())
}

func TestAnotherOrgStartsWithAnEmptyLedger(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	r := setupReconnected(t)
	s, stop := r.start()
	r.send(r.write("main", "row", 1), r.task("call", 2))
	r.eventually(func() bool { return r.final()["row/1"] == "WRITTEN" && r.final()["call/2"] == "WRITTEN" }, "written")
	r.says(firstOrg, "", configv1.ConnectionState_CONNECTION_STATE_REVOKED)
	for i := range 20 {
		r.send(r.write("main", fmt.Sprint("parked", i), 3))
	}
	r.send(r.task("parked", 3))
	r.eventually(func() bool { return s.Stats().Held == 21 }, "parked")

	// Without confirmation nothing changes: what is parked stays so.
	r.issue(otherOrg)
	require.Zero(t, r.deadLetters())
	r.accept(otherOrg)
	r.eventually(func() bool { return s.Stats().Held == 0 && r.deadLetters() == 21 }, "what was parked is given up")
	for i := range 20 {
		require.Equal(t, "FAILED SF_RECORD_GONE", r.final()[fmt.Sprintf("parked%d/3", i)], "each with a reason")
	}
	require.Equal(t, "FAILED SF_RECORD_GONE", r.final()["parked/3"])
	require.Contains(t, r.told("parked1").GetDetail(), "the connection is with another org now")
	require.Empty(t, r.orgs["other"].Requests(), "nothing of it reached the other org")

	// What was on its way from the mapping ends the same way, and what is for the new org begins anew there, with the same keys.
	r.send(r.write("main", "late", 4))
	r.send(in(otherOrg, r.write("main", "row", 1)), in(otherOrg, r.task("call", 2)), in(otherOrg, r.task("call", 6)))
	r.eventually(func() bool {
		return r.final()["late/4"] == "FAILED SF_RECORD_GONE" && r.final()["call/6"] == "SKIPPED DUPLICATE_EVENT" &&
			r.final()["row/1"] == "WRITTEN" && len(r.orgs["other"].Records("Engagement__c")) == 1 && len(r.orgs["other"].Records("Task")) == 1
	}, "written in the other org, once")
	stop()

	// An org that comes back is known again: nothing is made twice there either.
	r.accept(firstOrg)
	_, stop = r.start()
	defer stop()
	r.send(r.write("main", "row", 1), r.task("call", 2), r.task("call", 7), r.write("main", "row", 8))
	r.send(in(otherOrg, r.write("main", "row", 9)))
	r.eventually(func() bool {
		return r.final()["row/8"] == "WRITTEN" && r.final()["call/7"] == "SKIPPED DUPLICATE_EVENT" && r.final()["row/9"] == "FAILED SF_RECORD_GONE"
	}, "settled")
	r.eventually(func() bool {
		return r.broker.Committed("tl-writer") == int64(len(r.broker.Records(topic.Writes))) && r.broker.Committed("tl-writer-parked") == 21
	}, "every offset")
	require.Len(t, r.orgs["main"].Records("Task"), 1)
	require.Equal(t, []float64{1, 8}, r.orgs["main"].Records("Engagement__c")[0].History)
	require.Len(t, r.orgs["other"].Records("Task"), 1)
}

func TestNothingReachesAnotherOrgBeforeTheSettingsSaySo(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	r := setupReconnected(t)
	r.issue(otherOrg) // an administrator has just accepted it; the news is still under way
	_, stop := r.start()
	defer stop()
	r.send(r.write("main", "row", 1))
	r.eventually(func() bool { return r.askedFor() > 2 }, "it is tried")
	require.Empty(t, r.orgs["other"].Requests())
	require.Empty(t, r.orgs["other"].Queries())
	r.says(otherOrg, firstOrg, configv1.ConnectionState_CONNECTION_STATE_READY)
	r.eventually(func() bool { return r.final()["row/1"] == "FAILED SF_RECORD_GONE" }, "given up, with a reason")
	require.Empty(t, r.orgs["other"].Requests())
}

func TestAnOrgIsReplacedWhileARequestIsUnderWay(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	r := setupReconnected(t)
	r.cfg.Lanes.Parallelism = 1
	taken, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.orgs["main"].Fault = func(orgtest.Request) *orgtest.Fault {
		once.Do(func() { close(taken); <-release })
		return nil
	}
	_, stop := r.start()
	defer stop()
	r.send(r.task("under-way", 1))
	<-taken
	r.send(r.task("pending", 2))
	r.accept(otherOrg)
	r.send(in(otherOrg, r.task("under-way", 1)), in(otherOrg, r.task("new", 3)))
	close(release)
	r.eventually(func() bool {
		return r.final()["pending/2"] == "FAILED SF_RECORD_GONE" && r.final()["new/3"] == "WRITTEN" &&
			r.broker.Committed("tl-writer") == int64(len(r.broker.Records(topic.Writes)))
	}, "settled")
	require.Len(t, r.orgs["main"].Records("Task"), 1, "what had been sent is made where it was meant for")
	require.Len(t, r.orgs["other"].Records("Task"), 2, "and in the other org by its own writes")
	made := 0
	for _, rec := range r.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(t, proto.Unmarshal(rec.Value, o))
		if o.GetWriteKey() == "under-way" && o.GetCreated() {
			made++
		}
	}
	require.Equal(t, 2, made, "one in each")
}
