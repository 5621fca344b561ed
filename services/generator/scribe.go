package generator

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"time"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
)

// contentTypes are the headers that tell the formats apart. Their values are shared: nobody may change them.
var contentTypes = [...]Header{
	structured: {Key: "content-type", Value: []byte("application/cloudevents+json")},
	binary:     {Key: "content-type", Value: []byte("application/json")},
	protobuf:   {Key: "content-type", Value: []byte("application/protobuf")},
}

// kinds are the CloudEvents types, by verb.
var kinds = [...]string{
	videoStarted:   "throughline.video.started.v1",
	videoProgress:  "throughline.video.progress.v1",
	videoEnded:     "throughline.video.ended.v1",
	ctaClicked:     "throughline.video.cta_clicked.v1",
	documentOpened: "throughline.document.opened.v1",
	pageViewed:     "throughline.document.page_viewed.v1",
	documentClosed: "throughline.document.closed.v1",

	registrationCreated:   "throughline.registration.created.v1",
	registrationChanged:   "throughline.registration.changed.v1",
	registrationCancelled: "throughline.registration.cancelled.v1",
}

// scribe writes events down. It keeps buffers, so it belongs to one goroutine.
type scribe struct {
	oversize int
	id       [36]byte
	headers  []Header
	time     []byte
}

// envelope is everything around what happened.
type envelope struct {
	id        []byte
	kind      string
	workspace string
	at        int64
	zone      *time.Location
	content   []byte
	viewer    []byte
}

func (w *scribe) envelope(s *session, st *step) envelope {
	hex.Encode(w.id[0:8], st.id[0:4])
	hex.Encode(w.id[9:13], st.id[4:6])
	hex.Encode(w.id[14:18], st.id[6:8])
	hex.Encode(w.id[19:23], st.id[8:10])
	hex.Encode(w.id[24:36], st.id[10:16])
	w.id[8], w.id[13], w.id[18], w.id[23] = '-', '-', '-', '-'
	return envelope{
		id: w.id[:], kind: kinds[st.verb], workspace: s.workspace.ID, at: st.at, zone: s.zone,
		content: s.contents[st.content].json, viewer: s.identities[st.viewer].json,
	}
}

// write appends the step's bytes and returns its headers, which are valid until the next call.
func (w *scribe) write(dst []byte, s *session, st *step, rnd *rand.Rand) ([]byte, []Header) {
	w.headers = w.headers[:0]
	f := s.format
	if st.malformed != WellFormed {
		f = structured
		if st.malformed == BrokenProtobuf {
			f = protobuf
		}
		w.headers = append(w.headers, contentTypes[f])
		return w.malform(dst, s, st, rnd), w.headers
	}
	w.headers = append(w.headers, contentTypes[f])
	switch f {
	case protobuf:
		return w.protobuf(dst, s, st), w.headers
	case binary:
		return w.binary(dst, s, st), w.headers
	default:
		return w.structured(dst, s, st, w.envelope(s, st)), w.headers
	}
}

func (w *scribe) header(key, value string) {
	w.headers = append(w.headers, Header{Key: key, Value: []byte(value)})
}

// structured appends a CloudEvent in JSON.
func (w *scribe) structured(dst []byte, s *session, st *step, e envelope) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	if e.id != nil {
		dst = append(append(append(dst, `,"id":"`...), e.id...), '"')
	}
	dst = append(append(append(dst, `,"source":"/players/web","type":"`...), e.kind...), '"')
	dst = append(append(dst, `,"time":"`...), w.timestamp(e.at, e.zone)...)
	dst = append(append(append(dst, `","workspace":"`...), e.workspace...), '"')
	dst = append(append(append(dst, `,"session":"`...), s.key...), '"')
	dst = append(dst, `,"datacontenttype":"application/json","data":`...)
	return append(w.data(dst, s, st, e), '}')
}

// binary appends the data alone; the attributes become headers.
func (w *scribe) binary(dst []byte, s *session, st *step) []byte {
	e := w.envelope(s, st)
	w.header("ce_specversion", "1.0")
	w.header("ce_id", string(e.id))
	w.header("ce_source", "/players/app")
	w.header("ce_type", e.kind)
	w.header("ce_time", string(w.timestamp(e.at, e.zone)))
	w.header("ce_workspace", e.workspace)
	w.header("ce_session", s.key)
	return w.data(dst, s, st, e)
}

const layout = "2006-01-02T15:04:05.000Z07:00"

func (w *scribe) timestamp(ms int64, zone *time.Location) []byte {
	w.time = time.UnixMilli(ms).In(zone).AppendFormat(w.time[:0], layout)
	return w.time
}

// data appends the data object.
func (w *scribe) data(dst []byte, s *session, st *step, e envelope) []byte {
	dst = append(append(dst, `{"content":`...), e.content...)
	if e.viewer != nil {
		dst = append(append(dst, `,"viewer":`...), e.viewer...)
	}
	c := s.contents[st.content]
	if c.Snapshot != nil {
		dst = strconv.AppendBool(append(dst, `,"tracking":`...), *c.Snapshot)
	}
	switch st.verb {
	case videoProgress:
		dst = appendSpans(dst, st.spans)
	case videoEnded:
		dst = strconv.AppendBool(append(dst, `,"completed":`...), st.completed)
	case ctaClicked:
		dst = append(append(dst, `,"label":`...), c.buttonJSON...)
		dst = append(append(append(dst, `,"url":"`...), c.target...), '"')
	case pageViewed:
		dst = strconv.AppendInt(append(dst, `,"page":`...), int64(st.page), 10)
		dst = appendNumber(append(dst, `,"dwellSeconds":`...), st.dwell)
	case documentClosed:
		if st.page > 0 {
			dst = strconv.AppendInt(append(dst, `,"page":`...), int64(st.page), 10)
		}
	case registrationCreated, registrationChanged, registrationCancelled:
		dst = append(append(dst, `,"registration":`...), st.registration...)
	case videoStarted, documentOpened:
	}
	return append(dst, '}')
}

func appendSpans(dst []byte, spans []span) []byte {
	dst = append(dst, `,"ranges":[`...)
	for i, sp := range spans {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(append(dst, `{"from":`...), sp.from)
		dst = append(appendNumber(append(dst, `,"to":`...), sp.to), '}')
	}
	return append(dst, ']')
}

func appendNumber(dst []byte, x float64) []byte { return strconv.AppendFloat(dst, x, 'f', -1, 64) }

// evidenceNames are the words for evidence in JSON.
var evidenceNames = map[sourcev1.Evidence]string{
	sourcev1.Evidence_EVIDENCE_SIGNED_IN: "signed_in",
	sourcev1.Evidence_EVIDENCE_ASKED:     "asked",
	sourcev1.Evidence_EVIDENCE_LINK:      "link",
}

// viewerJSON writes a viewer; absent members are left out.
func viewerJSON(v *sourcev1.Viewer) []byte {
	return mustJSON(struct {
		Email    string `json:"email"`
		Evidence string `json:"evidence,omitempty"`
		Name     string `json:"name,omitempty"`
	}{v.GetEmail(), evidenceNames[v.GetEvidence()], v.GetName()})
}

// mustJSON marshals a struct of texts and numbers, which cannot fail.
func mustJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic("generator: " + err.Error())
	}
	return out
}
