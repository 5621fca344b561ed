package writer_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// lead is the write that makes a Lead; its marker is in Description.
func (b *simBundle) lead(key, email string, policy streamv1.Duplicates) *streamv1.Write {
	b.t.Helper()
	w := b.write("main", key, 1)
	w.Object, w.Operation, w.ExternalIdField, w.ExternalId = "Lead", streamv1.Operation_OPERATION_INSERT, "", ""
	w.Marker, w.MarkerField, w.Duplicates = "Ref: "+key, "Description", policy
	w.SealedFields = b.seal(map[string]string{"LastName": "山田", "Company": "東洋", "Email": email, "Description": "Ref: " + key})
	return w
}

// withRule is a simulated org whose duplicate rule compares the addresses of Leads.
func withRule(t *testing.T, mode string) *simBundle {
	t.Helper()
	b := setupSimulator(t)
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: ruled
    apps: [{client_id: app, client_secret: secret, run_as: integration@ruled.example}]
    users: [{username: integration@ruled.example, last_name: Integration}]
    duplicate_rules: [{object: Lead, fields: [Email], mode: ` + mode + `}]
    records:
      Lead:
        - {LastName: 山田, Company: 東洋, Email: taro@toyo.example}
        - {LastName: 佐藤, Company: 東洋, Email: twin@toyo.example, CreatedDate: 2026-01-01T00:00:00Z}
        - {LastName: 佐藤, Company: 東洋, Email: twin@toyo.example, CreatedDate: 2026-01-02T00:00:00Z}
`))
	require.NoError(t, err)
	require.NoError(t, b.sim.Seed(t.Context(), sc))
	b.base = b.base[:len(b.base)-len("main")] + "ruled"
	b.org = salesforce.NewClient(unhurried(), &grant{url: b.base}, salesforce.Deps{})
	b.client["main"] = b.org
	return b
}

func (b *simBundle) outcome(key string) *streamv1.Outcome {
	b.t.Helper()
	var last *streamv1.Outcome
	for _, r := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		if o.GetWriteKey() == key {
			last = o
		}
	}
	return last
}

func TestDuplicateRules(t *testing.T) {
	t.Parallel()
	const (
		fail = streamv1.Duplicates_DUPLICATES_UNSPECIFIED
		save = streamv1.Duplicates_DUPLICATES_SAVE
		link = streamv1.Duplicates_DUPLICATES_LINK
	)
	for mode, want := range map[string]map[string]string{
		"alert": {"fail/1": "FAILED SF_DUPLICATE_RULE", "save/1": "WRITTEN", "link/1": "WRITTEN", "twins/1": "FAILED SF_DUPLICATE_RULE", "new/1": "WRITTEN"},
		"block": {"fail/1": "FAILED SF_DUPLICATE_RULE", "save/1": "FAILED SF_DUPLICATE_RULE", "link/1": "WRITTEN", "twins/1": "FAILED SF_DUPLICATE_RULE", "new/1": "WRITTEN"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "XC-40")
			b := withRule(t, mode)
			existing, err := b.org.Query(t.Context(), "SELECT Id FROM Lead WHERE Email = 'taro@toyo.example'")
			require.NoError(t, err)
			taro := existing[0].String("Id")
			_, stop := b.start()
			defer stop()
			// The one that is saved beside taro comes last: it would be another duplicate for the others.
			b.send(b.lead("fail", "taro@toyo.example", fail), b.lead("link", "taro@toyo.example", link),
				b.lead("twins", "twin@toyo.example", link), b.lead("new", "new@toyo.example", fail))
			b.ended(4)
			b.send(b.lead("save", "taro@toyo.example", save))
			b.ended(5)
			require.Equal(t, want, b.final())
			require.Contains(t, b.outcome("fail").GetDetail(), taro, "the existing record is named")
			require.Equal(t, taro, b.outcome("link").GetRecordId())
			require.Contains(t, b.outcome("link").GetNotes(), "SF_DUPLICATE_RULE")
			require.Regexp(t, `existing: 00Q\w{15}, 00Q\w{15}`, b.outcome("twins").GetDetail())
		})
	}
}
