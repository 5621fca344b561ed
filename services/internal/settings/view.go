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
	return (*View)(nil).with(whole(snapshot), inst)
}

// with returns the view that a change leads to. Workspaces that it does not name are shared with v, which may be nil.
func (v *View) with(c *change, inst *seal.Installation) (*View, error) {
	next := &View{revision: c.revision, lineage: c.lineage, byID: map[string]*Workspace{}}
	if c.since != 0 {
		if v == nil || v.revision != c.since || v.lineage != c.lineage {
			return nil, errPieces
		}
		maps.Copy(next.byID, v.byID)
	}
	for _, id := range c.removed {
		delete(next.byID, id)
	}
	workspaces := c.workspaces
	for _, ws := range c.amended {
		was, ok := next.byID[ws.GetWorkspace().GetId()]
		if !ok {
			return nil, errPieces
		}
		workspaces = append(workspaces, amend(was.source, ws))
	}
	var errs []error
	for _, ws := range workspaces {
		w, err := newWorkspace(ws, inst)
		if err != nil {
			errs = append(errs, fmt.Errorf("settings of workspace %s: %w", ws.GetWorkspace().GetId(), err))
			continue
		}
		next.byID[w.ID()] = w
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	next.workspaces = slices.SortedFunc(maps.Values(next.byID), func(a, b *Workspace) int { return strings.Compare(a.ID(), b.ID()) })
	next.erasureMark = erasureMark(next.workspaces)
	return next, nil
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
