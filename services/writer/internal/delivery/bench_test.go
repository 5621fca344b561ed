package delivery_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// BenchmarkDelivery measures the writer's own cost per write, with an org that confirms everything without looking.
func BenchmarkDelivery(b *testing.B) {
	for _, kind := range []string{"upsert", "insert"} {
		b.Run(kind, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				n := bytes.Count(body, []byte(`{"attributes"`))
				results := strings.Repeat(`{"id":"00TSM0000000001AAA","success":true,"errors":[],"created":true},`, n)
				_, _ = io.WriteString(w, "["+results[:len(results)-1]+"]")
			}))
			defer server.Close()
			t := setup(b)
			t.orgs["main"] = salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{
				AccessToken: secret.New("token"), InstanceURL: server.URL,
			}, salesforce.Deps{})
			records := make([]stage.Record, b.N)
			for i := range records {
				w := t.upsert(write{key: fmt.Sprint("k", i), fields: map[string]any{
					"Title__c": "製品資料 2026 年版", "Content_Id__c": "content-1234", "View_Count__c": 3.0, "Percent_Watched__c": 71.5,
				}})
				if kind == "insert" {
					w = t.insert(write{key: fmt.Sprint("k", i), who: "X"})
				}
				value, _ := proto.Marshal(w)
				records[i] = stage.Record{
					Topic: topic.Writes, Offset: int64(i), Value: value, Time: w.GetOccurredAt().AsTime(),
					Key: topic.ConnectionKey("acme", "main"),
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range records {
				if err := t.handler.Accept(b.Context(), records[i]); err != nil {
					b.Fatal(err)
				}
			}
			t.settled(b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
