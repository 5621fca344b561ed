package simulator_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// perRequest is how many records a collection of the benchmark holds.
const perRequest = 200

// BenchmarkCollections writes engagement rows through Collections of 200, over HTTP, kept on disk or in memory. The
// floor that the project promises is 5,000 records/s on one core with the disk.
func BenchmarkCollections(b *testing.B) {
	for _, where := range []string{"memory", "disk"} {
		for _, what := range []string{"create", "update"} {
			b.Run(where+"/"+what, func(b *testing.B) {
				base, token := benchOrg(b, where == "disk", 0)
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					at := i
					if what == "update" {
						at = i % 10
					}
					send(b, http.MethodPatch, base+"/composite/sobjects/Engagement__c/External_Id__c", token, engagements(at))
				}
				b.ReportMetric(float64(b.N*perRequest)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// BenchmarkQueryByAddress looks 200 addresses up among 100,000 leads; the floor is 5 ms.
func BenchmarkQueryByAddress(b *testing.B) {
	base, token := benchOrg(b, false, 100_000)
	var list strings.Builder
	for i := range 200 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, "'Lead%d@example.com'", i*499)
	}
	target := base + "/query?q=" + url.QueryEscape("SELECT Id, Email, OwnerId, Owner.IsActive, LastModifiedDate, CreatedDate, IsConverted, ConvertedContactId FROM Lead WHERE Email IN ("+list.String()+") ORDER BY LastModifiedDate DESC")
	b.ResetTimer()
	for b.Loop() {
		send(b, http.MethodGet, target, token, "")
	}
}

func engagements(request int) string {
	var sb strings.Builder
	sb.WriteString(`{"allOrNone":false,"records":[`)
	for i := range perRequest {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, `{"attributes":{"type":"Engagement__c"},"External_Id__c":"key-%d-%d","Title__c":"Quarterly review","Content_Url__c":"https://video.example/watch/abc",`+
			`"Content_Id__c":"abc","Content_Kind__c":"Video","Creator_Name__c":"Hanako Sato","Creator_Email__c":"hanako@acme.example","Length_Seconds__c":120,"View_Count__c":%d,`+
			`"First_Viewed_At__c":"2026-08-10T09:00:00Z","Last_Viewed_At__c":"2026-08-10T09:10:00Z","Percent_Watched__c":55.5,"Watch_Seconds__c":61.25,"CTA_Clicks__c":1,`+
			`"Viewer_Email__c":"viewer%d@example.com","Identity_Method__c":"FORM","Trace_Id__c":"4bf92f3577b34da6a3ce929d0e0e4736"}`, request, i, i, i)
	}
	sb.WriteString("]}")
	return sb.String()
}

func send(b *testing.B, method, target, token, body string) {
	req, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	require.NoError(b, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	var sb strings.Builder
	_, err = fmt.Fprint(&sb, res.Status)
	require.NoError(b, err)
	if res.StatusCode != http.StatusOK {
		b.Fatal(res.Status)
	}
	buf := make([]byte, 64<<10)
	for {
		if _, err := res.Body.Read(buf); err != nil {
			break
		}
	}
	require.NoError(b, res.Body.Close())
}

func benchOrg(b *testing.B, disk bool, leads int) (base, token string) {
	b.Helper()
	cfg := simulator.DefaultConfig()
	if disk {
		cfg.Dir = b.TempDir()
	}
	sim, err := simulator.New(cfg, simulator.Deps{})
	require.NoError(b, err)
	org := simulator.Org{
		Key: "acme", Package: true, API: simulator.API{DailyLimit: 1 << 40},
		Apps:  []simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "a@acme.example"}},
		Users: []simulator.User{{Username: "a@acme.example"}},
	}
	rows := simulator.Rows{Object: "Lead"}
	for i := range leads {
		rows.Rows = append(rows.Rows, map[string]any{"LastName": "L", "Company": "C", "Email": fmt.Sprintf("lead%d@example.com", i)})
	}
	org.Records = append(org.Records, rows)
	require.NoError(b, sim.Seed(context.Background(), &simulator.Scenario{Orgs: []simulator.Org{org}}))
	server := httptest.NewServer(sim.Handler())
	b.Cleanup(func() { server.Close(); require.NoError(b, sim.Close()) })
	t := &bundle{server: server}
	token = t.tokenFor(b)
	return server.URL + "/orgs/acme/services/data/v67.0", token
}

func (b *bundle) tokenFor(tb testing.TB) string {
	res, err := http.PostForm(b.server.URL+"/orgs/acme/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"},
	})
	require.NoError(tb, err)
	defer res.Body.Close()
	buf := make([]byte, 4096)
	n, _ := res.Body.Read(buf)
	_, rest, _ := strings.Cut(string(buf[:n]), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	require.NotEmpty(tb, token, time.Now())
	return token
}
