package preview

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
)

//go:embed samples.json
var builtIn []byte

// Samples are the built-in ones: views of a video and of a document by people who are a Lead, a Contact, both, nobody's, and
// unknown. The caller must not change them.
var Samples = sync.OnceValues(func() ([]*configv1.PreviewSample, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(builtIn, &raw); err != nil {
		return nil, fmt.Errorf("read the built-in samples: %w", err)
	}
	out := make([]*configv1.PreviewSample, len(raw))
	for n := range raw {
		out[n] = &configv1.PreviewSample{}
		if err := protojson.Unmarshal(raw[n], out[n]); err != nil {
			return nil, fmt.Errorf("read built-in sample %d: %w", n, err)
		}
	}
	return out, nil
})

// stand-ins for what a sample need not say.
const (
	samplePerson  = "person-key-of-the-sample"
	sampleContent = "sample-content"
)

// prepare completes a sample: it belongs to the workspace of the preview, whatever it says (promise 9), has the ids that
// the pipeline would give it, and happened now if it does not say when.
func prepare(sample *configv1.PreviewSample, req *Request, n int) (*configv1.PreviewSample, error) {
	s := proto.CloneOf(sample)
	if s.GetName() == "" {
		s.Name = fmt.Sprintf("sample %d", n+1)
	}
	e := s.GetEngagement()
	if e.Visit == nil {
		return nil, fmt.Errorf("sample %q: the engagement has no visit, and what an integration sees is an engagement with the visit that changed it", s.GetName())
	}
	v := e.GetVisit()
	if e.Content == nil {
		e.Content = v.GetContent()
	}
	if e.Content == nil {
		e.Content = &streamv1.Content{}
	}
	if e.GetContent().GetContentId() == "" {
		e.Content.ContentId = sampleContent
	}
	if v.Content == nil {
		v.Content = proto.CloneOf(e.GetContent())
	}
	e.Workspace, v.Workspace = req.Workspace.GetId(), req.Workspace.GetId()
	e.Subject = subject(s)
	v.Subject = proto.CloneOf(e.GetSubject())
	e.Content.OwnerSealed, v.Content.OwnerSealed = nil, nil
	v.VisitId = orElse(v.GetVisitId(), ids.VisitID(e.GetWorkspace(), s.GetName(), e.GetContent().GetContentId()))
	e.EngagementId = orElse(e.GetEngagementId(), ids.EngagementID(e.GetWorkspace(),
		ids.Person(e.GetSubject().GetPersonKey(), v.GetVisitId()), e.GetContent().GetContentId()))
	if v.GetState() == streamv1.VisitState_VISIT_STATE_UNSPECIFIED {
		v.State = streamv1.VisitState_VISIT_STATE_CLOSED
	}
	if !v.GetLastActivityAt().IsValid() || v.LastActivityAt == nil {
		v.LastActivityAt = timestamppb.New(req.Now)
	}
	return s, nil
}

// subject is the sample's viewer, nil for one that nobody knows.
func subject(s *configv1.PreviewSample) *streamv1.Subject {
	if s.GetViewer().GetEmail() == "" {
		return nil
	}
	out := &streamv1.Subject{PersonKey: samplePerson, Evidence: streamv1.Evidence_EVIDENCE_SIGNED_IN}
	if said := s.GetEngagement().GetSubject(); said != nil {
		out.PersonKey = orElse(said.GetPersonKey(), samplePerson)
		if said.GetEvidence() != streamv1.Evidence_EVIDENCE_UNSPECIFIED {
			out.Evidence = said.GetEvidence()
		}
	}
	return out
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// resolved seals the sample's personal data, as it travels between services.
func (r *runner) resolved() (*streamv1.Resolved, error) {
	e := proto.CloneOf(r.sample.GetEngagement())
	seal := func(data *streamv1.PersonalData) ([]byte, error) {
		plain, err := proto.Marshal(data)
		if err != nil {
			return nil, err
		}
		return r.keys.Seal(plain)
	}
	var err error
	if e.Subject != nil {
		if e.Subject.Sealed, err = seal(r.sample.GetViewer()); err != nil {
			return nil, err
		}
		e.Visit.Subject = proto.CloneOf(e.GetSubject())
	}
	if r.sample.GetOwner() != nil {
		if e.Content.OwnerSealed, err = seal(r.sample.GetOwner()); err != nil {
			return nil, err
		}
	}
	return &streamv1.Resolved{
		Engagement: e, Connection: r.req.Integration.GetConnection(), Resolution: r.sample.GetResolution(), OrgTimeZone: r.req.OrgTimeZone,
	}, nil
}
