package preview

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// The people in whose place masked values are made.
var (
	somebody = &streamv1.PersonalData{Email: "masked.viewer@example.invalid", Name: "Masked Viewer"}
	owner    = &streamv1.PersonalData{Email: "masked.owner@example.invalid", Name: "Masked Owner"}
)

// hidden stands where no masked value can be made.
const hidden = "•••"

// Sample turns a recorded engagement into a sample, opened with the workspace's keys.
func Sample(f Found, keys *seal.Keys) (*configv1.PreviewSample, error) {
	e := proto.CloneOf(f.Resolved.GetEngagement())
	s := &configv1.PreviewSample{Name: "engagement " + e.GetEngagementId(), Engagement: e, Resolution: f.Resolved.GetResolution()}
	var err error
	if s.Viewer, err = open(keys, e.GetSubject().GetSealed()); err != nil {
		return nil, fmt.Errorf("viewer of %s: %w", s.GetName(), err)
	}
	sealed := e.GetVisit().GetContent().GetOwnerSealed()
	if len(sealed) == 0 {
		sealed = e.GetContent().GetOwnerSealed()
	}
	if s.Owner, err = open(keys, sealed); err != nil {
		return nil, fmt.Errorf("owner of the content of %s: %w", s.GetName(), err)
	}
	return s, nil
}

func open(keys *seal.Keys, sealed []byte) (*streamv1.PersonalData, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := keys.Open(sealed)
	if err != nil {
		return nil, err
	}
	data := &streamv1.PersonalData{}
	if proto.Unmarshal(plain, data) != nil {
		return nil, fmt.Errorf("%w: it holds no personal data", seal.ErrOpen) // the decoder's text could quote what it read (promise 8)
	}
	return data, nil
}

// Masked are the samples as they would be of made-up people.
func Masked(samples []*configv1.PreviewSample) []*configv1.PreviewSample {
	out := make([]*configv1.PreviewSample, len(samples))
	for i, s := range samples {
		out[i] = proto.CloneOf(s)
		if s.GetViewer() != nil {
			out[i].Viewer = somebody
		}
		if s.GetOwner() != nil {
			out[i].Owner = owner
		}
	}
	return out
}

// Mask keeps of real results what made-up people would have, too: a value that is another for them depends on who somebody is,
// however it was made, and gives way to theirs (promise 8).
func Mask(real, masked []*configv1.PreviewResult) []*configv1.PreviewResult {
	for i, r := range real {
		r.Input = nil
		for _, w := range r.GetWrites() {
			other := match(masked[i], w)
			for _, f := range w.GetFields() {
				f.Value = maskValue(f.GetValue(), other)
			}
			if other.GetExternalId() != w.GetExternalId() {
				w.ExternalId = hidden
			}
			if !same(w.GetWarnings(), other.GetWarnings()) {
				w.Warnings = other.GetWarnings()
			}
		}
		maskSkipped(r, masked[i])
	}
	return real
}

// match finds the masked write of the same action, nil if there is none.
func match(r *configv1.PreviewResult, w *configv1.PreviewWrite) *configv1.PreviewWrite {
	for _, other := range r.GetWrites() {
		if other.GetAction() == w.GetAction() {
			return other
		}
	}
	return nil
}

func maskValue(v *streamv1.FieldValue, other *configv1.PreviewWrite) *streamv1.FieldValue {
	for _, f := range other.GetFields() {
		if f.GetValue().GetField() == v.GetField() {
			return f.GetValue()
		}
	}
	return &streamv1.FieldValue{Field: v.GetField(), Value: &streamv1.FieldValue_Text{Text: hidden}}
}

// maskSkipped hides the texts of what is not written that are not the same for everybody.
func maskSkipped(r, other *configv1.PreviewResult) {
	known := map[string]bool{}
	for _, o := range other.GetSkipped() {
		known[o.GetDetail()] = true
	}
	for _, o := range r.GetSkipped() {
		if !known[o.GetDetail()] {
			o.Detail = hidden
		}
	}
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
