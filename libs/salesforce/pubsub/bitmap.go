package pubsub

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hamba/avro/v2"
)

// ErrBitmap says that a field bitmap of an event header cannot be read with the event's schema.
var ErrBitmap = errors.New("unreadable field bitmap")

// maxBitmapDigits bounds one bitmap; an object has at most 800 custom fields and some standard ones.
const maxBitmapDigits = 1024

// expand returns the paths of the fields that bitmaps name: "Email", and "Name.FirstName" for a child of a compound field.
// The first element is about the record, "<index>-0x…" about the children of its field with the index. Bit i, least
// significant first, is field i of the schema (Change Data Capture guide, "Change Event Header Fields").
func expand(bitmaps []string, schema *avro.RecordSchema) ([]string, error) {
	var paths []string
	for _, bitmap := range bitmaps {
		fields, prefix, digits := schema.Fields(), "", bitmap
		if parent, rest, compound := strings.Cut(bitmap, "-"); compound {
			at, err := strconv.ParseUint(parent, 10, 16)
			if err != nil || at >= uint64(len(fields)) {
				return nil, fmt.Errorf("%w: there is no compound field %.10q", ErrBitmap, parent)
			}
			child, ok := recordOf(fields[at].Type())
			if !ok {
				return nil, fmt.Errorf("%w: field %s is not compound", ErrBitmap, fields[at].Name())
			}
			fields, prefix, digits = child.Fields(), fields[at].Name()+".", rest
		}
		bits, err := parseBits(digits)
		if err != nil {
			return nil, err
		}
		for i := range 8 * len(bits) {
			if bits[len(bits)-1-i/8]&(1<<(i%8)) == 0 {
				continue
			}
			if i >= len(fields) {
				return nil, fmt.Errorf("%w: bit %d of %d fields", ErrBitmap, i, len(fields))
			}
			paths = append(paths, prefix+fields[i].Name())
		}
	}
	return paths, nil
}

// parseBits reads "0x1F" as big-endian bytes.
func parseBits(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || digits == "" || len(digits) > maxBitmapDigits {
		return nil, fmt.Errorf("%w: not 0x and 1 to %d digits", ErrBitmap, maxBitmapDigits)
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	bits, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%w: not hexadecimal", ErrBitmap)
	}
	return bits, nil
}

// recordOf returns the record that a field holds, itself or as the one branch of a union that is a record.
func recordOf(s avro.Schema) (*avro.RecordSchema, bool) {
	switch s := s.(type) {
	case *avro.RecordSchema:
		return s, true
	case *avro.RefSchema:
		return recordOf(s.Schema())
	case *avro.UnionSchema:
		for _, branch := range s.Types() {
			if r, ok := recordOf(branch); ok {
				return r, true
			}
		}
	}
	return nil, false
}
