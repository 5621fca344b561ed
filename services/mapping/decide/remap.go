package decide

import (
	"fmt"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// remap maps once more, by the newest version of an integration instead of the one that was in force when the event happened
// (IMM-17), if that is asked. It changes what is written of something that failed, and never how often: what was made of the record before has
// the same write key, or is left out (promise 5).
func (m *Mapper) remap(d *decision, r *topic.Remap) error {
	d.told = true // somebody asked, so somebody is told
	newest := map[string]*configv1.Integration{}
	for _, i := range d.in.Workspace.IntegrationsAt(d.in.Now) {
		newest[i.GetId()] = i
	}
	for _, then := range d.in.Workspace.IntegrationsAt(d.visit.GetLastActivityAt().AsTime()) {
		if then.GetConnection() != d.in.Resolved.GetConnection() || (r.Integration != "" && r.Integration != then.GetId()) {
			continue
		}
		d.wanted = func(key string) bool { return key == r.WriteKey }
		if r.WriteKey == "" {
			var err error
			if d.wanted, err = m.failed(d, then); err != nil {
				return err
			}
		}
		if d.wanted == nil {
			continue
		}
		now := newest[then.GetId()]
		if r.Then {
			now = then
		}
		if err := m.again(d, then, now); err != nil {
			return err
		}
	}
	return nil
}

// again runs the newest version for what is wanted, and says so when it writes nothing of it.
func (m *Mapper) again(d *decision, then, now *configv1.Integration) error {
	if now == nil || now.GetConnection() != then.GetConnection() {
		d.refuse(then, integration.Refusal{
			Reason: streamv1.Reason_REASON_NO_WORKFLOW, Detail: "the integration has been turned off or moved to another connection since",
		})
		return nil
	}
	program, err := m.programs.Get(now)
	if err != nil {
		d.refuse(now, uncompiled(now, err))
		return nil
	}
	before := len(d.result.Writes) + len(d.result.Outcomes)
	if program.Applies(d.engagement) && (!d.unknown || integration.TellsUnknown(now)) {
		if err := d.run(program); err != nil {
			return err
		}
	}
	if len(d.result.Writes)+len(d.result.Outcomes) == before {
		d.refuse(now, integration.Refusal{
			Reason: streamv1.Reason_REASON_NO_WORKFLOW,
			Detail: fmt.Sprintf("version %d does not make of the event what had failed", now.GetVersion()),
		})
	}
	return nil
}

// failed tells which write keys the version of that time failed for; nil when for none. What it does not name has been
// written, or was refused for a reason that is no fault of the mapping.
func (m *Mapper) failed(d *decision, then *configv1.Integration) (func(key string) bool, error) {
	program, err := m.programs.Get(then)
	if err != nil {
		return func(string) bool { return true }, nil //nolint:nilerr // it compiled never: nothing was written by it
	}
	if !program.Applies(d.engagement) || (d.unknown && !integration.TellsUnknown(then)) {
		return nil, nil
	}
	input, err := d.input()
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, r := range program.Evaluate(input).Refusals {
		switch {
		case !r.Failed:
		case r.Action == "":
			return func(string) bool { return true }, nil // the condition failed, and so everything
		default:
			keys[d.key(then, r.Action, r.Business)] = true
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return func(key string) bool { return keys[key] }, nil
}

func uncompiled(i *configv1.Integration, err error) integration.Refusal {
	return integration.Refusal{
		Reason: streamv1.Reason_REASON_MAPPING_INVALID, Failed: true,
		Detail: fmt.Sprintf("version %d: %v; save a corrected version", i.GetVersion(), err),
	}
}
