package notices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// troubled are the states in which a connection cannot be used, or not fully.
var troubled = []configv1.ConnectionState{
	configv1.ConnectionState_CONNECTION_STATE_DEGRADED, configv1.ConnectionState_CONNECTION_STATE_REVOKED,
	configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING,
}

// passing are the reasons that often end by themselves.
var passing = []streamv1.Reason{streamv1.Reason_REASON_SF_UNAVAILABLE, streamv1.Reason_REASON_SF_LIMIT}

// Troubles is where trouble is seen.
type Troubles interface {
	StatesWith(ctx context.Context, states ...int32) ([]store.ConnectionState, error)
	Broken(ctx context.Context) ([]store.Broken, error)
}

// Diagnoses reads what was last found of a connection; see diagnose.Service.
type Diagnoses interface {
	Last(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error)
}

// find returns a notice for everything that is in the way now, of all workspaces.
func (w *Worker) find(ctx context.Context, now time.Time) ([]store.Notice, error) {
	states := make([]int32, len(troubled))
	for i, s := range troubled {
		states[i] = int32(s)
	}
	connections, err := w.deps.Troubles.StatesWith(ctx, states...)
	if err != nil {
		return nil, err
	}
	broken, err := w.deps.Troubles.Broken(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]store.Notice, 0, len(connections)+len(broken))
	add := func(n *configv1.Notice) error {
		row, err := rowOf(n)
		out = append(out, row)
		return err
	}
	for _, c := range connections {
		if slices.Contains(passing, c.Reason) && now.Sub(c.Since) < w.cfg.Patience {
			continue
		}
		if err := add(w.ofConnection(ctx, c)); err != nil {
			return nil, err
		}
	}
	told := brokenPushes{}
	for _, b := range broken {
		n, err := ofBroken(b)
		if err != nil {
			return nil, err
		}
		told.add(n)
		if err := add(n); err != nil {
			return nil, err
		}
	}
	runs, err := w.runs(ctx, told)
	if err != nil {
		return nil, err
	}
	for _, n := range runs {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ofConnection says what diagnosis found, in its words, or else what the state says.
func (w *Worker) ofConnection(ctx context.Context, c store.ConnectionState) *configv1.Notice {
	n := &configv1.Notice{
		Workspace: c.Workspace, Kind: configv1.NoticeKind_NOTICE_KIND_CONNECTION, Connection: c.Connection, State: c.State, Reason: c.Reason,
	}
	n.TextEn, n.TextJa = stateTexts(c.State)
	// Without a diagnosis, the texts of the state do.
	if d, err := w.deps.Diagnoses.Last(ctx, c.Workspace, c.Connection); err == nil {
		i := slices.IndexFunc(d.GetResults(), func(r *configv1.ProbeResult) bool {
			return r.GetRequired() && r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED && r.GetReason() == c.Reason
		})
		if i >= 0 {
			n.TextEn, n.TextJa = worded(d.GetResults()[i].GetEn()), worded(d.GetResults()[i].GetJa())
		}
	}
	return n
}

func worded(t *configv1.ProbeText) string {
	if t.GetWhere() == "" {
		return t.GetFinding()
	}
	return t.GetFinding() + " (" + t.GetWhere() + ")"
}

// ofBroken says what is wrong with an integration or a report push.
func ofBroken(b store.Broken) (*configv1.Notice, error) {
	found := &configv1.BrokenIntegration{}
	if err := proto.Unmarshal(b.Body, found); err != nil {
		return nil, fmt.Errorf("what is wrong with %s %s of workspace %s: %w", b.Kind, b.ID, b.Workspace, err)
	}
	n := &configv1.Notice{
		Workspace: b.Workspace, Kind: configv1.NoticeKind_NOTICE_KIND_INTEGRATION, Connection: b.Connection, Integration: b.ID,
		Reason: streamv1.Reason_REASON_MAPPING_INVALID,
	}
	if b.Kind == store.KindReportPush {
		n.Kind, n.Integration, n.ReportPush = configv1.NoticeKind_NOTICE_KIND_REPORT_PUSH, "", b.ID
	}
	for _, p := range found.GetProblems() {
		code, _, _ := strings.Cut(p.GetDescription(), ":")
		if reason, ok := streamv1.Reason_value["REASON_"+code]; ok {
			n.Reason = streamv1.Reason(reason)
			break
		}
	}
	n.TextEn, n.TextJa = problemTexts(n.GetKind(), found.GetProblems())
	return n, nil
}

// rowOf gives a notice its id: that of the thing and the reason, so that what comes back is the same notice.
func rowOf(n *configv1.Notice) (store.Notice, error) {
	what := fmt.Appendf(nil, "%d\x00%s\x00%s\x00%d\x00%d", n.GetKind(), n.GetConnection(), n.GetIntegration(), n.GetState(), n.GetReason())
	if n.GetReportPush() != "" {
		what = fmt.Appendf(what, "\x00%s\x00%d", n.GetReportPush(), n.GetTrouble())
	}
	sum := sha256.Sum256(what)
	n.Id = hex.EncodeToString(sum[:8])
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(n)
	if err != nil {
		return store.Notice{}, fmt.Errorf("notice of workspace %s: %w", n.GetWorkspace(), err)
	}
	return store.Notice{Workspace: n.GetWorkspace(), ID: n.GetId(), Body: body}, nil
}
