package oracle

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Raw is one record of the customer's topic.
type Raw struct {
	Value   []byte
	Headers []Header
}

func (r *Raw) header(key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// event is what a raw record says, in the words of its CloudEvents form.
type event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Time      time.Time `json:"time"`
	Workspace string    `json:"workspace"`
	Session   string    `json:"session"`
	Data      *data     `json:"data"`
}

type data struct {
	Content   *contentData `json:"content"`
	Viewer    viewerData   `json:"viewer"`
	Tracking  *bool        `json:"tracking"`
	Ranges    []rangeData  `json:"ranges"`
	Completed bool         `json:"completed"`
	Label     string       `json:"label"`
	URL       string       `json:"url"`
	Page      int          `json:"page"`
	Dwell     float64      `json:"dwellSeconds"`
}

type contentData struct {
	ID         string  `json:"id"`
	Title      string  `json:"title"`
	URL        string  `json:"url"`
	Length     float64 `json:"lengthSeconds"`
	Pages      int     `json:"pageCount"`
	OwnerEmail string  `json:"ownerEmail"`
	OwnerName  string  `json:"ownerName"`
	Published  string  `json:"publishedAt"`
}

type viewerData struct {
	Email    string `json:"email"`
	Evidence string `json:"evidence"`
	Name     string `json:"name"`
}

type rangeData struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// errSchema is every way in which bytes are no event.
var errSchema = errors.New("not an event of a known schema")

// parse reads a record in any of the three forms.
func parse(raw *Raw) (*event, error) {
	switch raw.header("content-type") {
	case "application/protobuf":
		return parseProtobuf(raw.Value)
	case "application/json":
		if raw.header("ce_specversion") != "" {
			return parseBinary(raw)
		}
	}
	e := &event{}
	if err := decode(raw.Value, e); err != nil {
		return nil, err
	}
	return e, e.check()
}

func parseBinary(raw *Raw) (*event, error) {
	e := &event{
		ID: raw.header("ce_id"), Type: raw.header("ce_type"),
		Workspace: raw.header("ce_workspace"), Session: raw.header("ce_session"),
	}
	at, err := time.Parse(time.RFC3339, raw.header("ce_time"))
	if err != nil {
		return nil, errSchema
	}
	e.Time = at
	if err := decode(raw.Value, &e.Data); err != nil {
		return nil, err
	}
	return e, e.check()
}

// decode reads exactly one JSON value of valid text.
func decode(value []byte, into any) error {
	if !utf8.Valid(value) {
		return errSchema
	}
	if err := json.Unmarshal(value, into); err != nil {
		return errSchema
	}
	return nil
}

// kinds of events, by type.
var documentTypes = map[string]bool{
	"throughline.video.started.v1":        false,
	"throughline.video.progress.v1":       false,
	"throughline.video.ended.v1":          false,
	"throughline.video.cta_clicked.v1":    false,
	"throughline.document.opened.v1":      true,
	"throughline.document.page_viewed.v1": true,
	"throughline.document.closed.v1":      true,

	"throughline.registration.created.v1":   false,
	"throughline.registration.changed.v1":   false,
	"throughline.registration.cancelled.v1": false,
}

// registration reports whether the event tells of a registration.
func (e *event) registration() bool { return strings.HasPrefix(e.Type, "throughline.registration.") }

// check applies the rules that make an event one.
func (e *event) check() error {
	_, known := documentTypes[e.Type]
	if !known || e.ID == "" || e.Workspace == "" || e.Session == "" || e.Time.IsZero() || e.Data == nil {
		return errSchema
	}
	c := e.Data.Content
	if c == nil || c.ID == "" || c.Length < 0 || c.Pages < 0 || e.Data.Page < 0 || e.Data.Dwell < 0 {
		return errSchema
	}
	if e.Type == "throughline.video.progress.v1" && len(e.Data.Ranges) == 0 {
		return errSchema
	}
	for _, r := range e.Data.Ranges {
		if r.From < 0 || r.To < 0 {
			return errSchema
		}
	}
	return nil
}

// document reports whether the event is about a document rather than a video.
func (e *event) document() bool { return documentTypes[e.Type] }

// closes reports whether the event says that the visit is over.
func (e *event) closes() bool {
	return e.Type == "throughline.video.ended.v1" || e.Type == "throughline.document.closed.v1"
}

// address is the viewer's normalised address, or "" when nobody is known.
func (e *event) address() string {
	switch e.Data.Viewer.Evidence {
	case "signed_in", "asked":
		return address(e.Data.Viewer.Email)
	default:
		return linkAddress(e.Data.Viewer.Email)
	}
}

// strength orders evidence: signed in beats asked, asked beats link (LOOM-25).
func (e *event) strength() int {
	switch e.Data.Viewer.Evidence {
	case "signed_in":
		return 3
	case "asked":
		return 2
	default:
		return 1
	}
}
