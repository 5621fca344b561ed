package world

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Config says how large a world is.
type Config struct {
	// Seed of the random source: PCG(Seed, 0x776f726c64), the second word being "world" in ASCII.
	Seed uint64
	// Now is the moment the world stands at.
	Now time.Time
	// Workspaces to make; at most 26.
	Workspaces []WorkspaceConfig
	// Viewers with an address, per workspace.
	Viewers int
	// Contents per workspace.
	Contents int
}

// WorkspaceConfig is what is chosen, not drawn, about a workspace.
type WorkspaceConfig struct {
	ID       string `yaml:"id"`
	Name     string `yaml:"name"`
	Language string `yaml:"language"`
	// TimeZone of its org, an IANA name.
	TimeZone string `yaml:"time_zone"`
	// Package: its org has Throughline's objects and fields.
	Package bool `yaml:"package"`
	// Assignees is the chain for its to-dos; empty: the owner of the record.
	Assignees []Assignee `yaml:"assignees"`
	// Weight is its share of the traffic, relative to the others; 0: 1.
	Weight float64 `yaml:"weight"`
}

// DefaultWorkspaces is a large English one in New York, a Japanese one, and one in Berlin whose org does not have the
// package, so that its to-dos are found again by their marker.
func DefaultWorkspaces() []WorkspaceConfig {
	return []WorkspaceConfig{
		{
			ID: "acme", Name: "Acme", Language: "en", TimeZone: "America/New_York", Package: true,
			Assignees: []Assignee{RecordOwner}, Weight: 5,
		},
		{
			ID: "sakura", Name: "さくら商事", Language: "ja", TimeZone: "Asia/Tokyo", Package: true,
			Assignees: []Assignee{ContentOwner, RecordOwner}, Weight: 3,
		},
		{
			ID: "globex", Name: "Globex", Language: "en", TimeZone: "Europe/Berlin",
			Assignees: []Assignee{ContentOwner}, Weight: 2,
		},
	}
}

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Validate reports every key that is out of its bounds.
func (c Config) Validate() error {
	var errs []error
	if c.Now.IsZero() {
		errs = append(errs, errors.New("now: must be set"))
	}
	if n := len(c.Workspaces); n < 1 || n > 26 {
		errs = append(errs, fmt.Errorf("workspaces: %d, want 1 to 26", n))
	}
	if c.Viewers < 1 || c.Viewers > 1_000_000 {
		errs = append(errs, fmt.Errorf("viewers: %d, want 1 to 1000000", c.Viewers))
	}
	if c.Contents < 2 || c.Contents > 1_000_000 {
		errs = append(errs, fmt.Errorf("contents: %d, want 2 to 1000000", c.Contents))
	}
	seen := make(map[string]bool)
	for i, ws := range c.Workspaces {
		if err := ws.validate(); err != nil {
			errs = append(errs, fmt.Errorf("workspaces[%d].%w", i, err))
		}
		if seen[ws.ID] {
			errs = append(errs, fmt.Errorf("workspaces[%d].id: %q is taken", i, ws.ID))
		}
		seen[ws.ID] = true
	}
	return errors.Join(errs...)
}

func (c WorkspaceConfig) validate() error {
	if !validID.MatchString(c.ID) {
		return fmt.Errorf("id: %q, want lower-case letters, digits and hyphens", c.ID)
	}
	if c.Language != "ja" && c.Language != "en" {
		return fmt.Errorf("language: %q, want ja or en", c.Language)
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		return fmt.Errorf("time_zone: %w", err)
	}
	if c.Weight < 0 {
		return fmt.Errorf("weight: %v, want 0 or more", c.Weight)
	}
	for _, a := range c.Assignees {
		if a != ContentOwner && a != RecordOwner {
			return fmt.Errorf("assignees: %q, want content_owner or record_owner", a)
		}
	}
	return nil
}
