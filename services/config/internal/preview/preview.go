package preview

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Workspace is what a decision reads of a workspace's settings.
type Workspace interface {
	Proto() *configv1.Workspace
	Keys() *seal.Keys
	IntegrationsAt(t time.Time) []*configv1.Integration
}

// Case is one engagement to decide on.
type Case struct {
	Workspace Workspace
	Resolved  *streamv1.Resolved
	// Program is the one integration, compiled.
	Program *integration.Program
	Now     time.Time
	// TraceParent is that of a recorded engagement, "" for a sample.
	TraceParent string
}

// Decision is what came of a case.
type Decision struct {
	// Writes would go to the writer; their fields are sealed with the workspace's keys.
	Writes []*streamv1.Write
	// Outcomes tell what would not be written; of closed visits only.
	Outcomes []*streamv1.Outcome
	// Refused counts every refusal by reason, told as an outcome or not.
	Refused map[streamv1.Reason]int
	// ConditionFalse is true when the condition did not hold.
	ConditionFalse bool
}

// Decide is how mapping decides.
type Decide func(Case) (Decision, error)

// Request is what to preview.
type Request struct {
	Workspace *configv1.Workspace
	// Integration need not be saved or switched on; its workspace and connection are those of the preview.
	Integration *configv1.Integration
	// OrgTimeZone is the org's, for days and dates; may be empty.
	OrgTimeZone string
	Samples     []*configv1.PreviewSample
	// TraceParents are those of the samples, in their order, if they were recorded.
	TraceParents []string
	Now          time.Time
}

// Run previews. An *integration.Error says that the integration does not compile; any other error is a sample's.
func Run(decide Decide, req Request) ([]*configv1.PreviewResult, error) {
	actions, err := split(req.Integration)
	if err != nil {
		return nil, err
	}
	keys, err := throwaway(req.Workspace.GetId())
	if err != nil {
		return nil, err
	}
	results := make([]*configv1.PreviewResult, len(req.Samples))
	for n, sample := range req.Samples {
		input, err := prepare(sample, &req, n)
		if err != nil {
			return nil, err
		}
		r := &runner{decide: decide, req: &req, keys: keys, sample: input, result: &configv1.PreviewResult{Sample: input.GetName(), Input: input}}
		if n < len(req.TraceParents) {
			r.traceParent = req.TraceParents[n]
		}
		if err := r.run(actions); err != nil {
			return nil, fmt.Errorf("sample %q: %w", input.GetName(), err)
		}
		results[n] = r.result
	}
	return results, nil
}

// single is one action of the integration as an integration of its own: what it decides is this action's.
type single struct {
	program *integration.Program
	path    string
}

// split compiles the whole, for its problems, and each action alone.
func split(i *configv1.Integration) ([]single, error) {
	if _, err := integration.Compile(proto.CloneOf(i)); err != nil {
		return nil, err
	}
	out := make([]single, len(i.GetActions()))
	for n, action := range i.GetActions() {
		alone := proto.CloneOf(i)
		alone.Enabled, alone.Actions = true, []*configv1.Action{proto.CloneOf(action)}
		alone.Actions[0].Disabled = false
		program, err := integration.Compile(alone)
		if err != nil {
			return nil, err
		}
		out[n] = single{program: program, path: fmt.Sprintf("actions[%d]", n)}
	}
	return out, nil
}

// throwaway makes keys that nothing else was ever sealed with.
func throwaway(workspace string) (*seal.Keys, error) {
	installation, err := seal.NewInstallation()
	if err != nil {
		return nil, err
	}
	wrapped, err := installation.NewKeys(workspace)
	if err != nil {
		return nil, err
	}
	return installation.OpenKeys(workspace, wrapped)
}

// view is the workspace as the decision sees it: with one integration, in force at any time.
type view struct {
	proto       *configv1.Workspace
	keys        *seal.Keys
	integration *configv1.Integration
}

func (v *view) Proto() *configv1.Workspace { return v.proto }
func (v *view) Keys() *seal.Keys           { return v.keys }
func (v *view) IntegrationsAt(time.Time) []*configv1.Integration {
	return []*configv1.Integration{v.integration}
}

// runner previews one sample.
type runner struct {
	decide Decide
	req    *Request
	keys   *seal.Keys
	sample *configv1.PreviewSample
	result *configv1.PreviewResult
	// passed are the reasons why nothing came of an action.
	passed []string
	seen   map[string]bool
	// traceParent is that of a recorded engagement.
	traceParent string
}

func (r *runner) run(actions []single) error {
	r.seen = map[string]bool{}
	for _, action := range actions {
		resolved, err := r.resolved()
		if err != nil {
			return err
		}
		decided, err := r.decide(Case{
			Workspace: &view{proto: r.req.Workspace, keys: r.keys, integration: action.program.Integration()},
			Resolved:  resolved, Program: action.program, Now: r.req.Now, TraceParent: r.traceParent,
		})
		if err != nil {
			return err
		}
		for _, w := range decided.Writes {
			shown, err := r.show(action, w)
			if err != nil {
				return err
			}
			r.result.Writes = append(r.result.Writes, shown)
		}
		r.skip(action, resolved.GetEngagement(), &decided)
	}
	if len(r.result.GetWrites()) == 0 && len(r.result.GetSkipped()) == 0 && len(r.passed) > 0 {
		r.result.PassedOver = r.passed[0]
	}
	return nil
}

// skip notes what is not written, and why.
func (r *runner) skip(action single, e *streamv1.Engagement, d *Decision) {
	told := false
	for _, o := range d.Outcomes {
		if o.GetReason() == streamv1.Reason_REASON_NO_WORKFLOW {
			continue // there may be other integrations; why this one does not apply is said below
		}
		told = true
		key := o.GetWriteKey() + o.GetReason().String() + o.GetDetail()
		if !r.seen[key] { // a condition that fails does so for every action
			r.seen[key] = true
			r.result.Skipped = append(r.result.Skipped, o)
		}
	}
	switch {
	case told || len(d.Writes) > 0:
	case !action.program.Applies(e):
		r.passed = append(r.passed, notFor(action.program.Integration(), e))
	case d.ConditionFalse:
		r.passed = append(r.passed, "the condition does not hold")
	default:
		for reason := range d.Refused {
			r.passed = append(r.passed, reasonName(reason)+": nothing is written, which is told once the visit is closed")
		}
	}
}

// notFor tells why an integration does not look at a revision.
func notFor(i *configv1.Integration, e *streamv1.Engagement) string {
	if !integration.Covers(i, e.GetContent().GetContentId()) {
		return "the integration is for other contents (content_ids)"
	}
	if e.GetVisit().GetWithdrawn() {
		return "the visit was withdrawn: it belongs to another"
	}
	return "the integration waits for the close of a visit, and this one is open"
}

var errForeign = errors.New("the decision sealed its fields with other keys than it was given")

// open reads the fields of a write.
func (r *runner) open(w *streamv1.Write) ([]*streamv1.FieldValue, error) {
	plain, err := r.keys.Open(w.GetSealedFields())
	if err != nil {
		return nil, errForeign
	}
	fields := &streamv1.FieldValues{}
	if err := proto.Unmarshal(plain, fields); err != nil {
		return nil, errForeign
	}
	return fields.GetFields(), nil
}
