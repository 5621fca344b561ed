package settings

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// change is what brings a view to a newer revision, collected from the pieces in which it comes.
type change struct {
	revision, since int64
	lineage         string
	workspaces      []*configv1.WorkspaceSnapshot
	removed         []string
	bytes           int
}

// errPieces: the stream is given up and begun again from the last whole revision.
var errPieces = errors.New("the config service sent pieces that do not belong together")

// add takes one piece and reports whether it was the last. Promise 7: a change larger than limit is refused.
func (c *change) add(part *configv1.SnapshotPart, limit int) (last bool, err error) {
	if c.bytes == 0 {
		c.revision, c.since, c.lineage = part.GetRevision(), part.GetSince(), part.GetLineage()
	} else if c.revision != part.GetRevision() || c.since != part.GetSince() || c.lineage != part.GetLineage() {
		return false, errPieces
	}
	if c.bytes += proto.Size(part); c.bytes > limit {
		return false, fmt.Errorf("settings of revision %d are larger than max_snapshot_bytes: raise it", c.revision)
	}
	for _, ws := range part.GetWorkspaces() {
		if ws.GetWorkspace() != nil {
			c.workspaces = append(c.workspaces, ws)
			continue
		}
		if len(c.workspaces) == 0 {
			return false, errPieces
		}
		extend(c.workspaces[len(c.workspaces)-1], ws)
	}
	c.removed = append(c.removed, part.GetRemoved()...)
	return part.GetLast(), nil
}

// extend appends the lists of a piece to those of the workspace it continues, whatever lists there are. Unlike proto.Merge it
// copies nothing.
func extend(ws, piece *configv1.WorkspaceSnapshot) {
	into := ws.ProtoReflect()
	piece.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !field.IsList() {
			into.Set(field, value)
			return true
		}
		list := into.Mutable(field).List()
		for i := range value.List().Len() {
			list.Append(value.List().Get(i))
		}
		return true
	})
}

// whole is the change that leads to a snapshot from nothing.
func whole(s *configv1.Snapshot) *change {
	return &change{revision: s.GetRevision(), lineage: s.GetLineage(), workspaces: s.GetWorkspaces()}
}
