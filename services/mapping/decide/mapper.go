package decide

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Programs compiles integrations.
type Programs interface {
	// Get returns the compiled integration; the error says why it does not compile.
	Get(i *configv1.Integration) (*integration.Program, error)
}

// Workspace is one tenant's settings.
type Workspace interface {
	Proto() *configv1.Workspace
	Keys() *seal.Keys
	// IntegrationsAt returns the version of each enabled integration that was in force at t (IMM-17).
	IntegrationsAt(t time.Time) []*configv1.Integration
}

// Mapper decides. Safe for concurrent use.
type Mapper struct{ programs Programs }

// New returns a mapper that compiles through programs.
func New(programs Programs) *Mapper { return &Mapper{programs: programs} }

// Input is one resolved engagement and the settings of its workspace.
type Input struct {
	Workspace Workspace
	Resolved  *streamv1.Resolved
	// SettingsRevision is that of the view Workspace comes from.
	SettingsRevision int64
	// TraceParent is the W3C trace context of the record; may be empty.
	TraceParent string
	// Now is written into outcomes as the time of the decision.
	Now time.Time
	// Remap, if set, maps by the newest versions, and only what it names.
	Remap *topic.Remap
}

// Result is what one resolved engagement causes.
type Result struct {
	// Writes go to the writer.
	Writes []*streamv1.Write
	// Outcomes tell what was not written, and why; at most one per action, and of closed visits only.
	Outcomes []*streamv1.Outcome
	// Refused counts every refusal by reason, told as an outcome or not.
	Refused map[streamv1.Reason]int
	// ConditionFalse counts integrations whose condition did not hold.
	ConditionFalse int
	// Failure is the first refusal that somebody must correct; the record belongs into the dead letters besides.
	Failure *streamv1.Outcome
}

// Map decides. The only error is a subject or owner that does not open with the workspace's key; trying again does not
// help.
func (m *Mapper) Map(in Input) (Result, error) {
	d := &decision{in: in, engagement: in.Resolved.GetEngagement()}
	d.visit = d.engagement.GetVisit()
	d.told = d.visit.GetState() == streamv1.VisitState_VISIT_STATE_CLOSED
	d.unknown = d.engagement.GetSubject().GetPersonKey() == ""
	if d.optedOut() {
		return d.result, nil
	}
	if in.Remap != nil {
		if err := m.remap(d, in.Remap); err != nil {
			return Result{}, err
		}
		return d.result, nil
	}
	applied := false
	// The version in force when the event happened decides, however late it is handled (IMM-17).
	for _, i := range in.Workspace.IntegrationsAt(d.visit.GetLastActivityAt().AsTime()) {
		if i.GetConnection() != in.Resolved.GetConnection() {
			continue
		}
		program, err := m.programs.Get(i)
		if err != nil {
			applied = true
			d.refuse(i, uncompiled(i, err))
			continue
		}
		if !program.Applies(d.engagement) || (d.unknown && !integration.TellsUnknown(i)) {
			continue
		}
		applied = true
		if err := d.run(program); err != nil {
			return Result{}, err
		}
	}
	if d.unknown && !d.spoken() {
		d.tellUnknown()
	}
	if !applied && !d.visit.GetWithdrawn() && !d.unknown {
		d.refuse(&configv1.Integration{Connection: in.Resolved.GetConnection()}, d.unclaimed())
	}
	return d.result, nil
}

// unclaimed says why nothing is made of what no integration takes.
func (d *decision) unclaimed() integration.Refusal {
	if d.visit.GetRegistration() != nil { // HOPIN-5
		return integration.Refusal{
			Reason: streamv1.Reason_REASON_FLOW_SKIPPED,
			Detail: "the export of registrations was off when this happened; switch it on in the event set-up to export from then on",
		}
	}
	return integration.Refusal{
		Reason: streamv1.Reason_REASON_NO_WORKFLOW,
		Detail: "no integration of this connection applied when the visit happened; add one, with an earlier start to take in the past",
	}
}

// decision is the state of one Map call.
type decision struct {
	in         Input
	engagement *streamv1.Engagement
	visit      *streamv1.Visit
	// told is true when refusals become outcomes.
	told bool
	// unknown is true when nobody knows the viewer (IMM-36).
	unknown bool
	// wanted tells which write keys are asked for; nil for all.
	wanted func(key string) bool
	opened *integration.Input
	result Result
}

// run evaluates one integration and collects what comes of it.
func (d *decision) run(program *integration.Program) error {
	input, err := d.input()
	if err != nil {
		return err
	}
	decided := program.Evaluate(input)
	i := program.Integration()
	for _, refused := range decided.Refusals {
		if refused.Action == "" || d.wants(i, refused.Action, refused.Business) {
			d.refuse(i, refused)
		}
	}
	if !decided.Holds && len(decided.Refusals) == 0 {
		d.result.ConditionFalse++
	}
	for n := range decided.Records {
		if r := &decided.Records[n]; !d.wants(i, r.Action.GetName(), r.Business) {
			continue
		}
		w, err := d.write(i, &decided.Records[n])
		if err != nil {
			return err
		}
		d.result.Writes = append(d.result.Writes, w)
	}
	return nil
}

func (d *decision) wants(i *configv1.Integration, action, business string) bool {
	return d.wanted == nil || d.wanted(d.key(i, action, business))
}

// input opens the personal data, once and only if an integration wants to look.
func (d *decision) input() (*integration.Input, error) {
	if d.opened != nil {
		return d.opened, nil
	}
	viewer, err := d.open("subject", d.engagement.GetSubject().GetSealed())
	if err != nil {
		return nil, err
	}
	owner, err := d.open("content owner", d.engagement.GetContent().GetOwnerSealed())
	if err != nil {
		return nil, err
	}
	registrant, err := d.registrant()
	if err != nil {
		return nil, err
	}
	ws := d.in.Workspace.Proto()
	d.opened = &integration.Input{
		Resolved: d.in.Resolved, Viewer: viewer, Owner: owner, Registrant: registrant,
		Language: ws.GetLanguage(), TimeZone: ws.GetTimeZone(), ZoneRule: ws.GetZoneRule(),
		HistoryURL: historyURL(ws.GetHistoryUrl(), d.engagement.GetSubject().GetPersonKey()),
		TraceID:    traceID(d.in.TraceParent),
	}
	return d.opened, nil
}

func (d *decision) open(what string, sealed []byte) (*streamv1.PersonalData, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	data := &streamv1.PersonalData{}
	return data, d.unseal(what, sealed, data)
}

// registrant opens what a registration says of its person; nil for a view.
func (d *decision) registrant() (*streamv1.Registrant, error) {
	sealed := d.visit.GetRegistration().GetSealed()
	if len(sealed) == 0 {
		return nil, nil
	}
	data := &streamv1.Registrant{}
	return data, d.unseal("registrant", sealed, data)
}

func (d *decision) unseal(what string, sealed []byte, into proto.Message) error {
	plain, err := d.in.Workspace.Keys().Open(sealed)
	if err != nil {
		return fmt.Errorf("the %s of engagement %s, workspace %s, does not open with the workspace's key: %w",
			what, d.engagement.GetEngagementId(), d.engagement.GetWorkspace(), err)
	}
	if err := proto.Unmarshal(plain, into); err != nil {
		// The decoder's text could quote what it read (promise 8).
		return fmt.Errorf("the %s of engagement %s, workspace %s, is not personal data once opened",
			what, d.engagement.GetEngagementId(), d.engagement.GetWorkspace())
	}
	return nil
}

// historyURL appends the opaque person key, never the address (IMM-24), as a path segment or, after "=", as a value.
func historyURL(base, personKey string) string {
	if base == "" || personKey == "" {
		return ""
	}
	if !strings.HasSuffix(base, "/") && !strings.HasSuffix(base, "=") {
		base += "/"
	}
	return base + personKey
}

// traceID returns the trace id of a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>), or "".
func traceID(traceParent string) string {
	if len(traceParent) < 55 || traceParent[2] != '-' || traceParent[35] != '-' {
		return ""
	}
	id := traceParent[3:35]
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
