package watch

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// keptAmendments is how many changes of one workspace are kept one by one, for watchers that skipped a few revisions.
const keptAmendments = 16

// Field numbers of a WorkspaceSnapshot.
const (
	workspaceItself, workspaceKeys       = 1, 2
	workspaceConnections, workspaceRules = 3, 4
	workspaceContents, workspaceAPIKeys  = 5, 6
)

// amendment is what one change added to a workspace or replaced in it, as fields of a WorkspaceSnapshot. It is for watchers
// that have what was there from the revision since on.
type amendment struct {
	since   int64
	records []byte
}

// amend notes what leads from was to w. Without a note watchers get the workspace as a whole.
func (w *workspace) amend(was *workspace) {
	records, ok := added(was.encoded, w.encoded)
	if !ok {
		return
	}
	all := slices.Concat(was.amendments, []amendment{{was.changed, records}})
	size := 0
	for n := len(all) - 1; n >= 0; n-- {
		// Promise 7. What is half as large as the whole is not worth keeping.
		if size += len(all[n].records); size > len(w.encoded)/2 || len(all)-n > keptAmendments {
			all = all[n+1:]
			break
		}
	}
	w.amendments = all
}

// since returns what a watcher of that revision lacks, or false if it must have the workspace as a whole.
func (w *workspace) since(revision int64) ([]byte, bool) {
	from := len(w.amendments) - 1
	for from >= 0 && w.amendments[from].since > revision {
		from--
	}
	if from < 0 {
		return nil, false
	}
	out := head(w.encoded)
	for _, a := range w.amendments[from:] {
		out = append(out, a.records...)
	}
	return out, true
}

// head is a copy of the fields that say which workspace it is.
func head(encoded []byte) []byte {
	end := 0
	for end < len(encoded) {
		field, _, n := protowire.ConsumeField(encoded[end:])
		if field != workspaceItself && field != workspaceKeys {
			break
		}
		end += n
	}
	return append([]byte(nil), encoded[:end]...)
}

// added returns the fields of a WorkspaceSnapshot that are in now and not in was. It returns false if something is gone, or if
// it is not known how to tell: then only the whole will do.
func added(was, now []byte) (records []byte, ok bool) {
	before, after := fields(was), fields(now)
	replaced := map[string]bool{}
	for record := range after {
		if before[record] {
			continue
		}
		key, ok := keyOf(record)
		if !ok {
			return nil, false
		}
		replaced[key] = true
		records = append(records, record...)
	}
	for record := range before {
		if after[record] {
			continue
		}
		if key, ok := keyOf(record); !ok || !replaced[key] {
			return nil, false
		}
	}
	return records, true
}

// fields are the encoded fields but those of the head, which goes with every amendment.
func fields(encoded []byte) map[string]bool {
	out := map[string]bool{}
	for at := 0; at < len(encoded); {
		field, _, n := protowire.ConsumeField(encoded[at:])
		if field != workspaceItself && field != workspaceKeys {
			out[string(encoded[at:at+n])] = true
		}
		at += n
	}
	return out
}

// keyOf is by what a watcher recognises the setting in an encoded field.
func keyOf(record string) (string, bool) {
	ws := &configv1.WorkspaceSnapshot{}
	if err := proto.Unmarshal([]byte(record), ws); err != nil {
		return "", false
	}
	field, _, _ := protowire.ConsumeTag([]byte(record))
	switch field {
	case workspaceConnections:
		return "connection " + ws.GetConnections()[0].GetId(), true
	case workspaceRules:
		i := ws.GetIntegrations()[0]
		return fmt.Sprintf("integration %s %d", i.GetId(), i.GetVersion()), true
	case workspaceContents:
		return "content " + ws.GetContentSettings()[0].GetContentId(), true
	case workspaceAPIKeys:
		return "key " + ws.GetApiKeys()[0].GetId(), true
	}
	return "", false // a kind of setting that this code does not know
}
