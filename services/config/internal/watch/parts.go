package watch

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Field numbers of the messages that are put together from bytes.
const (
	responseSnapshot, responsePart                       = 1, 2
	snapshotRevision, snapshotWorkspaces                 = 1, 2
	snapshotLineage                                      = 3
	partRevision, partSince, partWorkspaces, partRemoved = 1, 2, 3, 4
	partLast, partLineage, partAmended                   = 5, 6, 7
)

// encodeWhole puts the workspaces' bytes together.
func (s *State) encodeWhole() *configv1.WatchResponse {
	b := protowire.AppendVarint(protowire.AppendTag(nil, snapshotRevision, protowire.VarintType), uint64(s.revision)) //nolint:gosec // never negative
	for _, w := range s.workspaces {
		b = appendBytes(b, snapshotWorkspaces, w.encoded)
	}
	return response(responseSnapshot, appendText(b, snapshotLineage, s.lineage))
}

// encodeSince puts together what changed after a revision; everything after 0.
func (s *State) encodeSince(revision int64) []*configv1.WatchResponse {
	p := &parts{state: s, since: revision}
	for _, w := range s.workspaces {
		if revision != 0 && w.changed <= revision {
			continue
		}
		field, what := protowire.Number(partWorkspaces), w.encoded
		if amended, ok := w.since(revision); ok && revision != 0 {
			field, what = partAmended, amended
		}
		for _, piece := range split(what, s.partBytes) {
			p.add(field, piece)
		}
	}
	if revision != 0 {
		for _, id := range slices.Sorted(maps.Keys(s.removed)) {
			if s.removed[id] > revision {
				p.add(partRemoved, []byte(id))
			}
		}
	}
	return p.done()
}

// parts collects pieces into answers of bounded size.
type parts struct {
	state *State
	since int64
	body  []byte
	all   []*configv1.WatchResponse
}

func (p *parts) add(field protowire.Number, piece []byte) {
	if len(p.body) > 0 && len(p.body)+len(piece) > p.state.partBytes {
		p.finish(false)
	}
	p.body = appendBytes(p.body, field, piece)
}

func (p *parts) done() []*configv1.WatchResponse {
	p.finish(true)
	return p.all
}

func (p *parts) finish(last bool) {
	b := protowire.AppendVarint(protowire.AppendTag(p.body, partRevision, protowire.VarintType), uint64(p.state.revision)) //nolint:gosec // never negative
	b = protowire.AppendVarint(protowire.AppendTag(b, partSince, protowire.VarintType), uint64(p.since))                   //nolint:gosec // never negative
	if last {
		b = protowire.AppendVarint(protowire.AppendTag(b, partLast, protowire.VarintType), 1)
	}
	p.all = append(p.all, response(responsePart, appendText(b, partLineage, p.state.lineage)))
	p.body = nil
}

// response makes an answer that is encoded already: gRPC marshals it by copying.
func response(field protowire.Number, message []byte) *configv1.WatchResponse {
	r := &configv1.WatchResponse{}
	r.ProtoReflect().SetUnknown(appendBytes(make([]byte, 0, len(message)+8), field, message))
	return r
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendText(b []byte, field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
}

// split cuts an encoded WorkspaceSnapshot between its fields into pieces of at most limit bytes, or one field if that alone
// is larger. The workspace itself, the first field, is in the first piece only.
func split(encoded []byte, limit int) [][]byte {
	var pieces [][]byte
	begin := 0
	for at := 0; at < len(encoded); {
		_, _, n := protowire.ConsumeField(encoded[at:])
		if at > begin && at+n-begin > limit {
			pieces = append(pieces, encoded[begin:at])
			begin = at
		}
		at += n
	}
	return append(pieces, encoded[begin:])
}
