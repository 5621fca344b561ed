package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Source is a kind of source that has plans of its own.
type Source = configv1.SourceKind

// The sources, in short. General is that of connections which serve any of them.
const (
	General  = configv1.SourceKind_SOURCE_KIND_UNSPECIFIED
	Video    = configv1.SourceKind_SOURCE_KIND_VIDEO
	Document = configv1.SourceKind_SOURCE_KIND_DOCUMENT
	Phone    = configv1.SourceKind_SOURCE_KIND_PHONE
	Usage    = configv1.SourceKind_SOURCE_KIND_USAGE
	Events   = configv1.SourceKind_SOURCE_KIND_EVENTS
)

// Sources are all that have plans, in order.
func Sources() []Source { return []Source{Video, Document, Phone, Usage, Events} }

var products = map[string]Source{"loom": Video, "immedio": Document, "zoom": Phone, "walkme": Usage, "hopin": Events}

// OfProduct is the source that a connection with ConnectSettings.source serves; General for an empty or unknown one.
func OfProduct(product string) Source { return products[product] }

// Name is the source as people and configuration write it, e.g. video.
func Name(s Source) string {
	if s == General {
		return "any"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "SOURCE_KIND_"))
}

// Rules say which plans include a source's Salesforce integration.
type Rules struct {
	// EnforceFrom is when the rules begin to hold. Until then, and without it, everybody is entitled to everything, whatever
	// plans are recorded.
	EnforceFrom time.Time `yaml:"enforce_from"`
	// Video, Document, Phone, Usage and Events name the plans that include the source, without regard to case. An empty list
	// includes it in every plan, and where none is recorded.
	Video    []string `yaml:"video"`
	Document []string `yaml:"document"`
	Phone    []string `yaml:"phone"`
	Usage    []string `yaml:"usage"`
	Events   []string `yaml:"events"`
	// Keep is how long the set-up of a connection that is not included any more is kept; then it is disconnected and its
	// secrets are erased.
	Keep time.Duration `yaml:"keep"`
}

// DefaultRules are off. Once enforced, video takes the plan enterprise (LOOM-1), phone pro, business or enterprise (ZOOM-1), and
// events business or enterprise (HOPIN-1); documents and usage reports are in every plan. A set-up is kept for 90 days.
func DefaultRules() Rules {
	return Rules{
		Video: []string{"enterprise"}, Phone: []string{"pro", "business", "enterprise"}, Events: []string{"business", "enterprise"},
		Keep: 90 * 24 * time.Hour,
	}
}

// Validate names the key that is wrong.
func (r Rules) Validate() error {
	for _, source := range Sources() {
		for _, name := range r.Needed(source) {
			if strings.TrimSpace(name) == "" {
				return fmt.Errorf("%s: a plan has no name", Name(source))
			}
		}
	}
	if r.Keep < time.Hour {
		return errors.New("keep: want at least 1h")
	}
	return nil
}

// Needed are the plans any of which includes the source; none means that every plan does. Of General they are those of all
// sources, unless one of them needs none.
func (r Rules) Needed(source Source) []string {
	switch source {
	case Video:
		return r.Video
	case Document:
		return r.Document
	case Phone:
		return r.Phone
	case Usage:
		return r.Usage
	case Events:
		return r.Events
	}
	var all []string
	for _, one := range Sources() {
		needed := r.Needed(one)
		if len(needed) == 0 {
			return nil
		}
		for _, name := range needed {
			if !has(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// includes reports whether a plan includes its source.
func (r Rules) includes(p *configv1.Plan) bool {
	name := p.GetCountsAs() // a trial counts as what it grants
	if name == "" {
		name = p.GetName()
	}
	return has(r.Needed(p.GetSource()), name)
}

func has(names []string, name string) bool {
	return slices.ContainsFunc(names, func(one string) bool {
		return strings.EqualFold(strings.TrimSpace(one), strings.TrimSpace(name))
	})
}
