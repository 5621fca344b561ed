package stagebench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// fill writes the records to measure with: activities as ingest makes them, of about 330 bytes, with CloudEvents headers
// and an unsampled trace context, over 5,000 sessions.
func (m *bench) fill(ctx context.Context, topic string) error {
	const chunk = 10_000
	start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	for first := 0; first < m.cfg.Events; first += chunk {
		messages := make([]stage.Message, 0, chunk)
		for i := first; i < min(first+chunk, m.cfg.Events); i++ {
			msg, err := event(topic, i, start.Add(time.Duration(i)*time.Millisecond))
			if err != nil {
				return err
			}
			messages = append(messages, msg)
		}
		if err := m.client.Publish(ctx, messages...); err != nil {
			return err
		}
	}
	return nil
}

func event(topic string, i int, at time.Time) (stage.Message, error) {
	session := "session-" + strconv.Itoa(i%5000)
	id := fmt.Sprintf("019a0000-0000-7000-8000-%012d", i)
	value, err := proto.Marshal(&streamv1.Activity{
		EventId: id, Workspace: "acme", Session: session,
		OccurredAt: timestamppb.New(at), ReceivedAt: timestamppb.New(at.Add(time.Second)),
		Content: &streamv1.Content{
			ContentId: "video-" + strconv.Itoa(i%300), Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO,
			Title: "How engagement reaches your CRM", Url: "https://video.example/watch/" + strconv.Itoa(i%300),
			LengthSeconds: 600,
		},
		Subject:          &streamv1.Subject{PersonKey: "q83vEjRWeJCrze8SNFZ4kA", Sealed: make([]byte, 80)},
		SettingsRevision: 7,
		Detail: &streamv1.Activity_VideoProgress{VideoProgress: &streamv1.VideoProgress{
			Ranges: []*streamv1.TimeRange{{From: float64(i % 500), To: float64(i%500 + 10)}},
		}},
	})
	return stage.Message{
		Topic: topic, Key: []byte("acme/" + session), Value: value, ID: id, Type: "throughline.activity.v1", Time: at,
		TraceParent: fmt.Sprintf("00-%032x-%016x-00", i+1, i+1),
	}, err
}
