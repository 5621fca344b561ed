package ingest

import (
	"strings"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
)

// Header names of CloudEvents' Kafka binary mode that only producers use.
const (
	headerWorkspace = "ce_workspace"
	headerSession   = "ce_session"
)

// raw reads what a record's headers say of its event. Attributes of the event itself are left for the decoder.
func (s *Source) raw(rec *stage.Record) intake.Raw {
	r := intake.Raw{
		Form: s.form(rec), Value: rec.Value, Workspace: s.Workspace, DeriveID: s.DeriveIDs,
		Attributes: event.Attributes{TraceParent: rec.TraceParent()},
		Place:      intake.Place{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset},
	}
	if r.Form == intake.Binary {
		r.Attributes = event.Attributes{
			SpecVersion: string(rec.Header(stage.HeaderSpecVersion)),
			ID:          string(rec.Header(stage.HeaderID)),
			Source:      string(rec.Header(stage.HeaderSource)),
			Type:        string(rec.Header(stage.HeaderType)),
			Time:        string(rec.Header(stage.HeaderTime)),
			Workspace:   string(rec.Header(headerWorkspace)),
			Session:     string(rec.Header(headerSession)),
			TraceParent: r.Attributes.TraceParent,
		}
	}
	return r
}

func (s *Source) form(rec *stage.Record) intake.Form {
	if s.Format == FormatProtobuf {
		return intake.Protobuf
	}
	if len(rec.Headers) == 0 {
		return intake.Structured
	}
	contentType, _, _ := strings.Cut(string(rec.Header(stage.HeaderContentType)), ";")
	switch strings.ToLower(strings.TrimSpace(contentType)) {
	case "application/cloudevents+json":
		return intake.Structured
	case "application/protobuf", "application/x-protobuf":
		if s.Format == FormatAuto {
			return intake.Protobuf
		}
	}
	if rec.Header(stage.HeaderSpecVersion) != nil {
		return intake.Binary
	}
	return intake.Structured
}
