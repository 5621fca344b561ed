package event_test

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/services/ingest/event"
)

const progressJSON = `{"specversion":"1.0","id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","source":"https://video.example",` +
	`"type":"throughline.video.progress.v1","time":"2026-11-23T09:10:11.123Z","workspace":"acme",` +
	`"session":"s-0123456789abcdef","datacontenttype":"application/json","data":{"content":{"id":"video-000123",` +
	`"title":"製品紹介 – product tour","url":"https://video.example/w/video-000123","lengthSeconds":372.5,` +
	`"ownerEmail":"owner@acme.example","ownerName":"Owner Name","publishedAt":"2026-10-01T00:00:00Z"},` +
	`"viewer":{"email":"taro.yamada123@customer.example","evidence":"signed_in","name":"Taro Yamada"},` +
	`"ranges":[{"from":12.5,"to":22.5},{"from":30,"to":40.25}]}}`

func BenchmarkDecodeStructured(b *testing.B) {
	d, in := event.NewDecoder(), []byte(progressJSON)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Structured(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTidyCheckClip(b *testing.B) {
	d, in := event.NewDecoder(), []byte(progressJSON)
	b.ReportAllocs()
	for b.Loop() {
		e, err := d.Structured(in)
		if err != nil {
			b.Fatal(err)
		}
		event.Tidy(e)
		if err := event.Check(e); err != nil {
			b.Fatal(err)
		}
		event.Clip(e)
	}
}

func BenchmarkDecodeProtobuf(b *testing.B) {
	d := event.NewDecoder()
	e, err := d.Structured([]byte(progressJSON))
	if err != nil {
		b.Fatal(err)
	}
	in, err := proto.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Protobuf(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeEncodingJSON is what the standard library takes for the same event, into a map.
func BenchmarkDecodeEncodingJSON(b *testing.B) {
	in := []byte(progressJSON)
	b.ReportAllocs()
	for b.Loop() {
		var v map[string]any
		if err := json.Unmarshal(in, &v); err != nil {
			b.Fatal(err)
		}
	}
}
