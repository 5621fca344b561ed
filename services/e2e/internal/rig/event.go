package rig

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Event is a raw event as a customer's platform sends it; docs/source-events.md describes the parts.
type Event struct {
	ID, Workspace, Session string
	// Type without "throughline." and ".v1", e.g. "document.closed".
	Type string
	// Time zero is now.
	Time             time.Time
	Content, Title   string
	Owner, OwnerName string
	Email, Viewer    string
	Tracking         *bool
	// Data is what the type has besides.
	Data map[string]any
}

// NewID makes the id of an event that happens now.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// JSON writes the event as CloudEvents JSON, and gives it an id if it has none.
func (e *Event) JSON() []byte {
	if e.ID == "" {
		e.ID = NewID()
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Session == "" {
		e.Session = "session-" + e.ID
	}
	if e.Content == "" {
		e.Content = "content"
	}
	content := map[string]any{"id": e.Content}
	set(content, "title", e.Title)
	set(content, "ownerEmail", e.Owner)
	set(content, "ownerName", e.OwnerName)
	data := map[string]any{"content": content}
	if e.Email != "" {
		viewer := map[string]any{"email": e.Email, "evidence": "signed_in"}
		set(viewer, "name", e.Viewer)
		data["viewer"] = viewer
	}
	if e.Tracking != nil {
		data["tracking"] = *e.Tracking
	}
	for k, v := range e.Data {
		data[k] = v
	}
	raw, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": "https://platform.example", "type": "throughline." + e.Type + ".v1",
		"time": e.Time.UTC().Format(time.RFC3339Nano), "workspace": e.Workspace, "session": e.Session, "data": data,
	})
	if err != nil {
		panic(err) // only what a test made up
	}
	return raw
}

func set(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

// Closed is a document closed by somebody after some reading: it makes a to-do and a row.
func Closed(workspace, email string) *Event {
	return &Event{Workspace: workspace, Type: "document.closed", Email: email, Content: "price-list", Title: "Price list", Data: map[string]any{"page": 3}}
}

// Watched is a video watched by somebody to its end: it makes a row.
func Watched(workspace, email string) *Event {
	return &Event{Workspace: workspace, Type: "video.ended", Email: email, Content: "tour", Title: "Product tour", Data: map[string]any{"completed": true}}
}

// Send sends events to the customer topic, keyed by session.
func (r *Rig) Send(events ...*Event) {
	r.T.Helper()
	messages := make([]stage.Message, len(events))
	for i, e := range events {
		value := e.JSON()
		messages[i] = stage.Message{Topic: CustomerTopic, Key: []byte(e.Session), Value: value}
	}
	require.NoError(r.T, r.Kafka.Publish(r.T.Context(), messages...))
}

// SendRaw sends a record of any bytes to the customer topic.
func (r *Rig) SendRaw(key string, value []byte) {
	r.T.Helper()
	require.NoError(r.T, r.Kafka.Publish(r.T.Context(), stage.Message{Topic: CustomerTopic, Key: []byte(key), Value: value}))
}
