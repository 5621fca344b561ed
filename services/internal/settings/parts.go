package settings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// change is what brings a view to a newer revision, collected from the pieces in which it comes.
type change struct {
	revision, since int64
	lineage         string
	// workspaces replace what is there; amended are added to what is there.
	workspaces, amended []*configv1.WorkspaceSnapshot
	removed             []string
	bytes               int
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
	if c.workspaces, err = join(c.workspaces, part.GetWorkspaces()); err != nil {
		return false, err
	}
	if c.amended, err = join(c.amended, part.GetAmended()); err != nil {
		return false, err
	}
	c.removed = append(c.removed, part.GetRemoved()...)
	return part.GetLast(), nil
}

// join appends pieces: what is no workspace's beginning continues the one before it.
func join(all, pieces []*configv1.WorkspaceSnapshot) ([]*configv1.WorkspaceSnapshot, error) {
	for _, ws := range pieces {
		switch {
		case ws.GetWorkspace() != nil:
			all = append(all, ws)
		case len(all) == 0:
			return nil, errPieces
		default:
			extend(all[len(all)-1], ws)
		}
	}
	return all, nil
}

// amend returns what becomes of a workspace when the settings of a change replace those of the same id, or are added. What the
// change says nothing of stays, also what this program does not know.
func amend(was, with *configv1.WorkspaceSnapshot) *configv1.WorkspaceSnapshot {
	out := &configv1.WorkspaceSnapshot{}
	was.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		out.ProtoReflect().Set(field, value)
		return true
	})
	out.ProtoReflect().SetUnknown(was.ProtoReflect().GetUnknown())
	out.Workspace, out.SealedKeys = with.GetWorkspace(), with.GetSealedKeys()
	out.Connections = replace(was.GetConnections(), with.GetConnections(), func(a, b *configv1.Connection) int {
		return strings.Compare(a.GetId(), b.GetId())
	})
	out.Integrations = replace(was.GetIntegrations(), with.GetIntegrations(), func(a, b *configv1.Integration) int {
		return cmp.Or(strings.Compare(a.GetId(), b.GetId()), cmp.Compare(a.GetVersion(), b.GetVersion()))
	})
	out.ContentSettings = replace(was.GetContentSettings(), with.GetContentSettings(), func(a, b *configv1.ContentSetting) int {
		return strings.Compare(a.GetContentId(), b.GetContentId())
	})
	out.ApiKeys = replace(was.GetApiKeys(), with.GetApiKeys(), func(a, b *configv1.ApiKey) int {
		return strings.Compare(a.GetId(), b.GetId())
	})
	return out
}

// replace merges two lists, in order; of equal ones the last of the second list stays. It leaves the lists as they are.
func replace[T any](was, with []T, compare func(a, b T) int) []T {
	if len(with) == 0 {
		return was
	}
	all := slices.Concat(was, with)
	slices.SortStableFunc(all, compare)
	kept := all[:0]
	for n, setting := range all {
		if n+1 == len(all) || compare(setting, all[n+1]) != 0 {
			kept = append(kept, setting)
		}
	}
	return kept
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
