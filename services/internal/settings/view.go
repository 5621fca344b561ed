package settings

import (
	"errors"
	"fmt"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// View is every workspace's settings at one revision. It never changes, so it may be used from many goroutines without
// a lock; the messages it returns must not be changed.
type View struct {
	revision   int64
	workspaces []*Workspace
	byID       map[string]*Workspace
}

// NewView prepares a snapshot for look-ups and opens the workspaces' keys. The view keeps the snapshot's messages. It
// fails when any workspace's keys do not open: a view without that workspace would refuse its events as unknown.
func NewView(snapshot *configv1.Snapshot, inst *seal.Installation) (*View, error) {
	v, troubles := nextView(snapshot, inst, nil)
	if err := errors.Join(troubles...); err != nil {
		return nil, err
	}
	return v, nil
}

// nextView is NewView after the last view, which may be nil. A workspace whose keys do not open keeps those that the last view
// has of it: nothing is refused, and the others get their settings (promise 6). The troubles name every such workspace, and
// the view lacks those of which the last one has no keys. Where nobody's keys open it is another installation's snapshot, and
// the view is empty.
func nextView(snapshot *configv1.Snapshot, inst *seal.Installation, last *View) (*View, []error) {
	v := &View{
		revision: snapshot.GetRevision(),
		byID:     make(map[string]*Workspace, len(snapshot.GetWorkspaces())),
	}
	var errs []error
	for _, ws := range snapshot.GetWorkspaces() {
		id := ws.GetWorkspace().GetId()
		keys, err := inst.OpenKeys(id, ws.GetSealedKeys())
		if id == "" {
			err = errors.New("the workspace has no id")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("settings of workspace %s: %w", id, err))
			if keys = last.keysOf(id); keys == nil {
				continue
			}
		}
		w := newWorkspace(ws, keys)
		v.workspaces = append(v.workspaces, w)
		v.byID[w.ID()] = w
	}
	if len(errs) > 0 && len(errs) == len(snapshot.GetWorkspaces()) {
		return &View{revision: v.revision}, errs
	}
	return v, errs
}

// keysOf returns the keys of a workspace, nil if there are none.
func (v *View) keysOf(id string) *seal.Keys {
	if v == nil || v.byID[id] == nil {
		return nil
	}
	return v.byID[id].keys
}

// has reports whether all workspaces of the snapshot are in the view.
func (v *View) has(snapshot *configv1.Snapshot) bool {
	return len(v.workspaces) == len(snapshot.GetWorkspaces())
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
