package generator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// presets are variations of the default traffic for load tests, by name.
var presets = map[string]func(*Config){
	// The demo's traffic.
	"demo": func(*Config) {},
	// Steady traffic without trouble: the pipeline's plain speed.
	"clean": func(c *Config) {
		c.Shares.Malformed, c.Shares.Duplicates, c.Shares.OutOfOrder, c.Shares.Late = 0, 0, 0, 0
		c.Shares.ChangesEvidence, c.Shares.BadAddress = 0, 0
	},
	// Many short visits of many people: the highest number of writes per event.
	"writes": func(c *Config) {
		c.Viewers, c.Contents = 10_000, 400
		c.Shares.Documents, c.Shares.Anonymous, c.Shares.BecomesKnown, c.Shares.SeveralContents = 0.9, 0, 0, 0
	},
	// Long videos reported often: the highest number of events per write.
	"progress": func(c *Config) {
		c.ReportEvery = 2_000_000_000
		c.Shares.Documents = 0
	},
	// A public campaign: nearly everybody is anonymous.
	"anonymous": func(c *Config) {
		c.Shares.Anonymous, c.Shares.BecomesKnown = 0.9, 0.01
	},
	// Few people, few contents: the same records are written again and again. Beyond some 50,000 events one person has
	// more visits to one content than the pipeline's totals remember one by one: for load, not for the oracle.
	"hot": func(c *Config) { c.Viewers, c.Contents = 200, 4 },
	// Three sessions in ten are registrations for events instead: for load, and for trying an event set-up; the demo's workspaces
	// have none.
	"registrations": func(c *Config) { c.Shares.Registrations = 0.3 },
	// A bad day: a fifth of everything is malformed, repeated, late or out of order.
	"trouble": func(c *Config) {
		c.Shares.Malformed, c.Shares.Duplicates, c.Shares.OutOfOrder, c.Shares.Late = 0.05, 0.06, 0.06, 0.03
		c.Shares.ChangesEvidence, c.Shares.Returns, c.Shares.TabKills = 0.05, 0.1, 0.3
	},
}

// Presets returns the names that Preset knows, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Preset returns the default configuration, varied for a purpose; docs/generator.md lists the purposes.
func Preset(name string) (Config, error) {
	vary, ok := presets[name]
	if !ok {
		return Config{}, fmt.Errorf("generator: no preset %q, want one of %s", name, strings.Join(Presets(), ", "))
	}
	cfg := DefaultConfig()
	vary(&cfg)
	return cfg, nil
}
