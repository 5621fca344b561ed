package wire

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline-dev/throughline/services/visits/ranges"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

// Field numbers of stream.v1.Activity and of what it holds.
const (
	activityEventID          = 1
	activityWorkspace        = 2
	activitySession          = 3
	activityOccurredAt       = 4
	activityContent          = 6
	activitySubject          = 7
	activitySettingsRevision = 8
	activityFirstDetail      = 10
	activityLastDetail       = 16
	activityRegistration     = 17
)

var errNotUTF8 = errors.New("a text is not UTF-8")

// ReadActivity reads a stream.v1.Activity into a, which keeps parts of value. Offset, Arrival and TraceParent are left
// to the caller. An error says that value is not an activity, or one without the ids, the content or the time that
// every activity must have; it quotes no text from it.
func ReadActivity(value []byte, a *visit.Activity) error {
	a.Reset()
	if err := fields(value, func(num protowire.Number, f field) error { return readActivityField(a, num, f) }); err != nil {
		return fmt.Errorf("not an activity: %w", err)
	}
	a.EventHash = xxhash.Sum64(a.EventID)
	switch {
	case len(a.EventID) == 0:
		return errors.New("an activity without an event id")
	case len(a.Workspace) == 0:
		return errors.New("an activity without a workspace")
	case len(a.Session) == 0:
		return errors.New("an activity without a session")
	case len(a.Content.ID) == 0:
		return errors.New("an activity without a content id")
	case a.At.IsZero():
		return errors.New("an activity without a time")
	case a.At.Year() < 1 || a.At.Year() > 9999:
		return errors.New("an activity outside the years 1 to 9999")
	}
	if y := a.Content.PublishedAt.Year(); y < 1 || y > 9999 {
		a.Content.PublishedAt = time.Time{}
	}
	return nil
}

func readActivityField(a *visit.Activity, num protowire.Number, f field) error {
	if num >= activityFirstDetail && num <= activityLastDetail && f.typ == protowire.BytesType {
		return readDetail(a, num, f.bytes)
	}
	switch num {
	case activityRegistration:
		f.raw(&a.Registration)
	case activityEventID:
		return f.text(&a.EventID)
	case activityWorkspace:
		return f.text(&a.Workspace)
	case activitySession:
		return f.text(&a.Session)
	case activityOccurredAt:
		return f.time(&a.At)
	case activityContent:
		return f.message(func(num protowire.Number, f field) error { return readContentField(&a.Content, num, f) })
	case activitySubject:
		return f.message(func(num protowire.Number, f field) error { return readSubjectField(&a.Subject, num, f) })
	case activitySettingsRevision:
		f.varint(func(v uint64) { a.SettingsRevision = int64(v) })
	}
	return nil
}

func readContentField(c *visit.ContentView, num protowire.Number, f field) error {
	switch num {
	case 1:
		return f.text(&c.ID)
	case 2:
		f.varint(func(v uint64) { c.Kind = visit.Kind(int32(v)) })
	case 3:
		return f.text(&c.Title)
	case 4:
		return f.text(&c.URL)
	case 5:
		f.double(&c.LengthSeconds)
	case 6:
		f.varint(func(v uint64) { c.PageCount = uint32(v) })
	case 7:
		return f.text(&c.OwnerKey)
	case 8:
		f.raw(&c.OwnerSealed)
	case 9:
		return f.time(&c.PublishedAt)
	}
	return nil
}

func readSubjectField(s *visit.SubjectView, num protowire.Number, f field) error {
	switch num {
	case 1:
		return f.text(&s.PersonKey)
	case 2:
		f.raw(&s.Sealed)
	case 3:
		f.varint(func(v uint64) { s.Evidence = visit.Evidence(int32(v)) })
	}
	return nil
}

// readDetail reads the oneof: the last member on the wire stands, and a repeated one continues what it said before.
func readDetail(a *visit.Activity, num protowire.Number, value []byte) error {
	action := visit.Action(num - activityFirstDetail + 1)
	if a.Action != action {
		a.Action, a.Ranges = action, a.Ranges[:0]
		a.Completed, a.Label, a.URL, a.Page, a.DwellSeconds = false, nil, nil, 0, 0
	}
	return fields(value, func(num protowire.Number, f field) error {
		switch action {
		case visit.ActionVideoProgress:
			return readProgressField(a, num, f)
		case visit.ActionVideoEnded:
			if num == 1 {
				f.varint(func(v uint64) { a.Completed = v != 0 })
			}
		case visit.ActionClicked:
			switch num {
			case 1:
				return f.text(&a.Label)
			case 2:
				return f.text(&a.URL)
			}
		case visit.ActionPageViewed, visit.ActionDocumentClosed:
			switch {
			case num == 1:
				f.varint(func(v uint64) { a.Page = uint32(v) })
			case num == 2 && action == visit.ActionPageViewed:
				f.double(&a.DwellSeconds)
			}
		case visit.ActionNone, visit.ActionVideoStarted, visit.ActionDocumentOpened:
		}
		return nil
	})
}

func readProgressField(a *visit.Activity, num protowire.Number, f field) error {
	if num != 1 || f.typ != protowire.BytesType {
		return nil
	}
	var r ranges.Range
	err := f.message(func(num protowire.Number, f field) error {
		switch num {
		case 1:
			f.double(&r.From)
		case 2:
			f.double(&r.To)
		}
		return nil
	})
	a.Ranges = append(a.Ranges, r)
	return err
}

// field is one field's value on the wire. A reader asks for the type it knows; any other is ignored like an unknown field,
// as the generated code does.
type field struct {
	typ   protowire.Type
	num   uint64
	bytes []byte
}

func (f field) text(to *[]byte) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	if !utf8.Valid(f.bytes) {
		return errNotUTF8
	}
	*to = f.bytes
	return nil
}

func (f field) raw(to *[]byte) {
	if f.typ == protowire.BytesType {
		*to = f.bytes
	}
}

func (f field) varint(set func(uint64)) {
	if f.typ == protowire.VarintType {
		set(f.num)
	}
}

func (f field) double(to *float64) {
	if f.typ == protowire.Fixed64Type {
		*to = math.Float64frombits(f.num)
	}
}

func (f field) message(read func(protowire.Number, field) error) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	return fields(f.bytes, read)
}

// time reads a google.protobuf.Timestamp; parts that a second occurrence leaves out keep what the first said.
func (f field) time(to *time.Time) error {
	if f.typ != protowire.BytesType {
		return nil
	}
	var seconds, nanos int64
	if !to.IsZero() {
		seconds, nanos = to.Unix(), int64(to.Nanosecond())
	}
	err := fields(f.bytes, func(num protowire.Number, f field) error {
		switch num {
		case 1:
			f.varint(func(v uint64) { seconds = int64(v) })
		case 2:
			f.varint(func(v uint64) { nanos = int64(int32(v)) })
		}
		return nil
	})
	*to = time.Unix(seconds, nanos).UTC()
	return err
}

// fields calls read for every field of a message, in the order of the wire.
func fields(b []byte, read func(num protowire.Number, f field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := field{typ: typ}
		switch typ {
		case protowire.VarintType:
			f.num, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.num, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
			n = protowire.ConsumeFieldValue(num, typ, b)
		default:
			return errors.New("unknown wire type")
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := read(num, f); err != nil {
			return err
		}
	}
	return nil
}
