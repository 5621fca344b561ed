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
	// erasureMark stands for all suppressions.
	erasureMark uint64
}

// NewView prepares a snapshot for look-ups and opens the workspaces' keys. The view keeps the snapshot's messages. It
// fails when any workspace's keys do not open: a view without that workspace would refuse its events as unknown.
func NewView(snapshot *configv1.Snapshot, inst *seal.Installation) (*View, error) {
	v := &View{
		revision: snapshot.GetRevision(),
		byID:     make(map[string]*Workspace, len(snapshot.GetWorkspaces())),
	}
	var errs []error
	for _, ws := range snapshot.GetWorkspaces() {
		w, err := newWorkspace(ws, inst)
		if err != nil {
			errs = append(errs, fmt.Errorf("settings of workspace %s: %w", ws.GetWorkspace().GetId(), err))
			continue
		}
		v.workspaces = append(v.workspaces, w)
		v.byID[w.ID()] = w
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v.erasureMark = erasureMark(v.workspaces)
	return v, nil
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
