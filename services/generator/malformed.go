package generator

import (
	"bytes"
	"math/rand/v2"
	"strings"
)

// Malformation is one way in which an event can be unusable.
type Malformation uint8

// The ways; WellFormed means none. Each comment ends with the reason that ingest must give.
const (
	WellFormed Malformation = iota
	// GarbageBytes are random: BAD_SCHEMA.
	GarbageBytes
	// EmptyValue has no bytes: BAD_SCHEMA.
	EmptyValue
	// CutOff ends in the middle: BAD_SCHEMA.
	CutOff
	// WrongShape is valid JSON of another shape: BAD_SCHEMA.
	WrongShape
	// WrongType has a text where a number belongs: BAD_SCHEMA.
	WrongType
	// UnknownKind has an event type that nobody knows: BAD_SCHEMA.
	UnknownKind
	// InvalidUTF8 has a byte that is no text: BAD_SCHEMA.
	InvalidUTF8
	// MissingID has no id: BAD_SCHEMA.
	MissingID
	// MissingContent does not say what was looked at: BAD_SCHEMA.
	MissingContent
	// NegativeNumber has a length below zero: BAD_SCHEMA.
	NegativeNumber
	// BrokenProtobuf claims to be protobuf and is not: BAD_SCHEMA.
	BrokenProtobuf
	// UnknownWorkspace names a workspace that does not exist: BAD_TENANT.
	UnknownWorkspace
	// FutureTime is three days ahead: BAD_TIME.
	FutureTime
	// AncientTime is 400 days old: BAD_TIME.
	AncientTime
	// SignedInWithoutAddress claims evidence of nothing: BAD_EMAIL.
	SignedInWithoutAddress
	// SignedInBadAddress was signed in with something that is no address: BAD_EMAIL.
	SignedInBadAddress
	// TooLarge exceeds the size limit: TOO_LARGE.
	TooLarge

	malformations
)

var malformationNames = [malformations]string{
	"well-formed", "garbage bytes", "empty value", "cut off", "wrong shape", "wrong type", "unknown kind",
	"invalid UTF-8", "missing id", "missing content", "negative number", "broken protobuf", "unknown workspace",
	"future time", "ancient time", "signed in without address", "signed in with bad address", "too large",
}

// String names the way in words.
func (m Malformation) String() string {
	if m >= malformations {
		return "unknown"
	}
	return malformationNames[m]
}

// Malformations lists all ways, without WellFormed.
func Malformations() []Malformation {
	all := make([]Malformation, 0, malformations-1)
	for m := GarbageBytes; m < malformations; m++ {
		all = append(all, m)
	}
	return all
}

// deep reports a flaw that shows only once the content's settings were looked at.
func (m Malformation) deep() bool {
	return m == FutureTime || m == AncientTime || m == SignedInWithoutAddress || m == SignedInBadAddress
}

const (
	dayMillis     = 86_400_000
	futureMillis  = 3 * dayMillis
	ancientMillis = 400 * dayMillis
)

// wrongShapes are valid JSON and no events.
var wrongShapes = []string{
	`[]`, `null`, `42`, `"throughline.video.started.v1"`, `{}`, `[{"specversion":"1.0"}]`, `{"hello":"world"}`,
	`{"specversion":"1.0","id":"x","source":"/s","type":"throughline.video.started.v1","data":"a text"}`,
}

// malform appends the malformed twin of a step. It draws from the random source of the writing, not of the planning.
func (w *scribe) malform(dst []byte, s *session, st *step, rnd *rand.Rand) []byte {
	e := w.envelope(s, st)
	switch st.malformed {
	case GarbageBytes:
		start := len(dst)
		dst = append(dst, make([]byte, 20+rnd.IntN(400))...)
		fill(rnd, dst[start:])
		dst[start] = 0xff // neither JSON nor protobuf, whatever comes next
		return dst
	case EmptyValue:
		return dst
	case WrongShape:
		return append(dst, wrongShapes[rnd.IntN(len(wrongShapes))]...)
	case BrokenProtobuf:
		return append(dst, "\x0a\xff\xff\xff\xff\x0fcut"...)
	case CutOff:
		start := len(dst)
		dst = w.structured(dst, s, st, e)
		return dst[:start+1+rnd.IntN(len(dst)-start-1)]
	case InvalidUTF8:
		start := len(dst)
		dst = w.structured(dst, s, st, e)
		return breakText(dst, start)
	case TooLarge:
		dst = w.structured(dst, s, st, e)
		dst = append(dst[:len(dst)-1], `,"padding":"`...)
		dst = append(dst, strings.Repeat("x", w.oversize)...)
		return append(dst, `"}`...)
	default:
		return w.structured(dst, s, st, distort(e, st.malformed))
	}
}

// distort changes one thing of the envelope.
func distort(e envelope, m Malformation) envelope {
	switch m {
	case WrongType:
		e.content = []byte(`{"id":"c","title":7,"lengthSeconds":"long","pageCount":"many"}`)
	case UnknownKind:
		e.kind = "throughline.video.smelled.v1"
	case MissingID:
		e.id = nil
	case MissingContent:
		e.content = []byte(`{"title":"Nameless"}`)
	case NegativeNumber:
		e.content = []byte(`{"id":"c","lengthSeconds":-5,"title":"Backwards"}`)
	case UnknownWorkspace:
		e.workspace = "nobody-knows-it"
	case FutureTime:
		e.at += futureMillis
	case AncientTime:
		e.at -= ancientMillis
	case SignedInWithoutAddress:
		e.viewer = []byte(`{"email":"","evidence":"signed_in"}`)
	case SignedInBadAddress:
		e.viewer = []byte(`{"email":"not an address","evidence":"signed_in"}`)
	}
	return e
}

// breakText puts a byte that no text contains at the start of the title.
func breakText(dst []byte, start int) []byte {
	const before = `"title":"`
	if at := bytes.Index(dst[start:], []byte(before)); at >= 0 {
		dst[start+at+len(before)] = 0xfe
	}
	return dst
}
