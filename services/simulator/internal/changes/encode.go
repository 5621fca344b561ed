package changes

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

// header is what an event says about a change.
type header struct {
	entity, record, change, origin, transaction, user string
	sequence                                          int32
	at, commit                                        int64 // at is in milliseconds since the Unix epoch
	nulled, changed                                   []string
}

// maxPayload is the size from which Salesforce sends a gap event instead (Change Data Capture guide, "Gap Events").
const maxPayload = 1 << 20

// payload encodes an event. Set picks the fields that have their value in it; the others are null.
func (k *kind) payload(h *header, rec *record.Record, set func(part) bool) []byte {
	w := avro.NewWriter(nil, 512)
	writeHeader(w, h)
	for _, p := range k.parts {
		k.write(w, p, rec, set)
	}
	return w.Buffer()
}

// write writes a part as one branch of its union: 0 is null, 1 the value.
func (k *kind) write(w *avro.Writer, p part, rec *record.Record, set func(part) bool) {
	if p.field == nil {
		if !slices.ContainsFunc(p.parts, func(c part) bool { return set(c) && rec.Get(c.field.Slot) != nil }) {
			w.WriteInt(0)
			return
		}
		w.WriteInt(1)
		for _, child := range p.parts {
			k.write(w, child, rec, set)
		}
		return
	}
	if !set(p) || rec.Get(p.field.Slot) == nil {
		w.WriteInt(0)
		return
	}
	w.WriteInt(1)
	switch v := rec.Get(p.field.Slot).(type) {
	case string:
		w.WriteString(v)
	case bool:
		w.WriteBool(v)
	case int64:
		w.WriteInt(int32(v)) // whole numbers have at most nine digits
	case float64:
		w.WriteDouble(v)
	case record.Date:
		w.WriteInt(int32(v))
	case record.DateTime:
		w.WriteLong(int64(v))
	}
}

func writeHeader(w *avro.Writer, h *header) {
	w.WriteString(h.entity)
	writeTexts(w, []string{h.record})
	w.WriteInt(int32(slices.Index(changeTypes, h.change)))
	w.WriteString(h.origin)
	w.WriteString(h.transaction)
	w.WriteInt(h.sequence)
	w.WriteLong(h.at)
	w.WriteLong(h.commit)
	w.WriteString(h.user)
	writeTexts(w, h.nulled)
	writeTexts(w, nil)
	writeTexts(w, h.changed)
}

// writeTexts writes an array: a block with its length, and the empty block that ends it.
func writeTexts(w *avro.Writer, texts []string) {
	if len(texts) > 0 {
		w.WriteLong(int64(len(texts)))
		for _, s := range texts {
			w.WriteString(s)
		}
	}
	w.WriteLong(0)
}

// bitmaps names the fields that are in: one bitmap for the record, and one "<index>-0x…" for each compound field. Bit i, least
// significant first, is field i of the schema (Change Data Capture guide, "Change Event Header Fields").
func (k *kind) bitmaps(in func(part) bool) []string {
	var whole big.Int
	var inner []string
	for i, p := range k.parts {
		at := i + 1 // the header is field 0
		if p.field != nil {
			if in(p) {
				whole.SetBit(&whole, at, 1)
			}
			continue
		}
		var bits big.Int
		for j, child := range p.parts {
			if in(child) {
				bits.SetBit(&bits, j, 1)
			}
		}
		if bits.Sign() > 0 {
			inner = append(inner, fmt.Sprintf("%d-%s", at, hexadecimal(&bits)))
		}
	}
	if whole.Sign() == 0 {
		return inner
	}
	return append([]string{hexadecimal(&whole)}, inner...)
}

func hexadecimal(bits *big.Int) string {
	digits := strings.ToUpper(bits.Text(16))
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	return "0x" + digits
}
