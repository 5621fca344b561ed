package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// View is every workspace's settings at one revision. It never changes, so it may be used from many goroutines without
// a lock; the messages it returns must not be changed.
type View struct {
	revision   int64
	lineage    string
	workspaces []*Workspace
	byID       map[string]*Workspace
	// erasureMark stands for all suppressions.
	erasureMark uint64
}

// NewView prepares a snapshot for look-ups and opens the workspaces' keys. The view keeps the snapshot's messages. It
// fails when any workspace's keys do not open: a view without that workspace would refuse its events as unknown.
func NewView(snapshot *configv1.Snapshot, inst *seal.Installation) (*View, error) {
	v, troubles := (*View)(nil).with(whole(snapshot), inst)
	if err := errors.Join(troubles...); err != nil {
		return nil, err
	}
	return v, nil
}

// with returns the view that a change leads to. Workspaces that it does not name are shared with v, which may be nil. A workspace
// whose keys do not open keeps those that v has of it: nothing is refused, and the others get their settings (promise 6). The
// troubles name every such workspace. There is no view if one would be missing from it, or where nobody's keys open: those are
// another installation's settings.
func (v *View) with(c *change, inst *seal.Installation) (*View, []error) {
	next := &View{revision: c.revision, lineage: c.lineage, byID: map[string]*Workspace{}}
	if c.since != 0 {
		if v == nil || v.revision != c.since || v.lineage != c.lineage {
			return nil, []error{errPieces}
		}
		maps.Copy(next.byID, v.byID)
	}
	for _, id := range c.removed {
		delete(next.byID, id)
	}
	workspaces := slices.Clone(c.workspaces)
	for _, ws := range c.amended {
		was, ok := next.byID[ws.GetWorkspace().GetId()]
		if !ok {
			return nil, []error{errPieces}
		}
		workspaces = append(workspaces, amend(was.source, ws))
	}
	var troubles []error
	for _, ws := range workspaces {
		id := ws.GetWorkspace().GetId()
		keys, err := inst.OpenKeys(id, ws.GetSealedKeys())
		if id == "" {
			err = errors.New("the workspace has no id")
		}
		if err != nil {
			troubles = append(troubles, fmt.Errorf("settings of workspace %s: %w", id, err))
			if keys = v.keysOf(id); keys == nil {
				return nil, troubles
			}
			ws = withKeys(ws, v.byID[id].source.GetSealedKeys())
		}
		next.byID[id] = newWorkspace(ws, keys)
	}
	if c.since == 0 && len(troubles) > 0 && len(troubles) == len(workspaces) {
		return nil, troubles
	}
	next.workspaces = slices.SortedFunc(maps.Values(next.byID), func(a, b *Workspace) int { return strings.Compare(a.ID(), b.ID()) })
	next.erasureMark = erasureMark(next.workspaces)
	return next, troubles
}

// withKeys returns the workspace with the sealed keys that are in use, so that what is saved of it opens.
func withKeys(ws *configv1.WorkspaceSnapshot, sealed []byte) *configv1.WorkspaceSnapshot {
	return amend(ws, &configv1.WorkspaceSnapshot{Workspace: ws.GetWorkspace(), SealedKeys: sealed})
}

// keysOf returns the keys of a workspace, nil if there are none.
func (v *View) keysOf(id string) *seal.Keys {
	if v == nil || v.byID[id] == nil {
		return nil
	}
	return v.byID[id].keys
}

// snapshot is the view as config would send it whole.
func (v *View) snapshot() *configv1.Snapshot {
	out := &configv1.Snapshot{Revision: v.revision, Lineage: v.lineage}
	for _, w := range v.workspaces {
		out.Workspaces = append(out.Workspaces, w.source)
	}
	return out
}

// Revision grows with every change of any setting. Records carry it, so that one can tell what shaped them.
func (v *View) Revision() int64 { return v.revision }

// Workspace returns one workspace, or false if there is none with this id.
func (v *View) Workspace(id string) (*Workspace, bool) {
	w, ok := v.byID[id]
	return w, ok
}

// Workspaces returns all of them, by id. The slice must not be changed.
func (v *View) Workspaces() []*Workspace { return v.workspaces }

// Source is a fixed View in the place of a Client.
type Source struct{ view *View }

// Static returns a Source of the view, for tests and for tools that work on one revision.
func Static(view *View) Source { return Source{view: view} }

// View returns the view.
func (s Source) View() *View { return s.view }
