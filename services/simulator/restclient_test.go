package simulator_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

func (b *bundle) ourClient() *salesforce.Client {
	return salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{
		AccessToken: secret.New(b.token), InstanceURL: b.base,
	}, salesforce.Deps{})
}

// TestOurClientsComposites runs this project's composite requests against the simulator, which shares no code with it.
func TestOurClientsComposites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.ourClient(), t.Context()
	lead := func(ref, name string) salesforce.Subrequest {
		return salesforce.SubCreate(ref, "Lead", salesforce.Fields{{Name: "LastName", Value: name}, {Name: "Company", Value: "X"}})
	}
	bad := salesforce.SubCreate("bad", "Lead", salesforce.Fields{{Name: "LastName", Value: "No company"}})

	results, err := client.Composite(ctx, salesforce.CompositeRequest{AllOrNone: true, Steps: []salesforce.Subrequest{
		salesforce.SubCreate("acc", "Account", salesforce.Fields{{Name: "Name", Value: "Acme"}}),
		salesforce.SubCreate("con", "Contact", salesforce.Fields{{Name: "LastName", Value: "Roe"}, {Name: "AccountId", Value: salesforce.Ref("acc", "id")}}),
		salesforce.SubGet("get", "Contact", salesforce.Ref("con", "id"), "AccountId"),
	}})
	require.NoError(t, err)
	for _, r := range results {
		require.Nil(t, r.Err, r.Reference)
	}
	require.True(t, results[0].Created)
	var contact salesforce.Record
	require.NoError(t, json.Unmarshal(results[2].Body, &contact))
	require.Equal(t, results[0].ID, contact.String("AccountId"))

	// The culprit is left out, and the rest passes.
	steps := []salesforce.Subrequest{lead("one", "One"), bad, lead("two", "Two")}
	results, err = client.Composite(ctx, salesforce.CompositeRequest{AllOrNone: true, Steps: steps})
	require.NoError(t, err)
	require.True(t, results[0].Halted())
	require.Equal(t, salesforce.ReasonRequiredMissing, results[1].Err.Reason)
	steps = salesforce.WithoutCulprits(steps, results)
	require.Len(t, steps, 2)
	results, err = client.Composite(ctx, salesforce.CompositeRequest{AllOrNone: true, Steps: steps})
	require.NoError(t, err)
	require.Nil(t, results[0].Err)

	graphs, err := client.CompositeGraph(ctx, []salesforce.Graph{
		{ID: "good", Steps: []salesforce.Subrequest{lead("a", "A"), salesforce.SubUpdate("b", "Lead", salesforce.Ref("a", "id"), salesforce.Fields{{Name: "Title", Value: "T"}})}},
		{ID: "bad", Steps: []salesforce.Subrequest{lead("a", "B"), bad}},
	})
	require.NoError(t, err)
	require.True(t, graphs[0].Successful)
	require.False(t, graphs[1].Successful)
	require.True(t, graphs[1].Steps[0].Halted())
	require.False(t, graphs[1].Halted())

	// Reading and deleting by id.
	ids := []string{results[0].ID, results[1].ID}
	records, err := client.CollectionGet(ctx, "Lead", ids, []string{"Id", "LastName"})
	require.NoError(t, err)
	require.Equal(t, "Two", records[1].String("LastName"))
	require.NoError(t, client.Delete(ctx, "Lead", ids[0]))
	var e *salesforce.Error
	require.ErrorAs(t, client.Delete(ctx, "Lead", ids[0]), &e)
	require.Equal(t, salesforce.ReasonRecordGone, e.Reason)
	deleted, err := client.CollectionDelete(ctx, ids)
	require.NoError(t, err)
	require.Equal(t, salesforce.ReasonRecordGone, deleted.Records[0].Err.Reason)
	require.Nil(t, deleted.Records[1].Err)
	records, err = client.CollectionGet(ctx, "Lead", ids, []string{"Id"})
	require.NoError(t, err)
	require.Nil(t, records[0])
}

// TestOurClientsLiterals finds records by what the describe says of their fields, and reads them one by one.
func TestOurClientsLiterals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client, ctx := b.ourClient(), t.Context()
	d, err := client.Describe(ctx, "Lead")
	require.NoError(t, err)
	awkward := "O'Neil \\ \"x\" OR Name != '\n山田"
	id, err := client.Create(ctx, "Lead", salesforce.Fields{{Name: "LastName", Value: awkward}, {Name: "Company", Value: "X"}})
	require.NoError(t, err)
	for name, value := range map[string]any{"LastName": awkward, "Id": id, "IsConverted": false} {
		field, ok := d.Field(name)
		require.True(t, ok, name)
		literal, err := salesforce.Literal(field, value)
		require.NoError(t, err)
		found := false
		for record, err := range client.Rows(ctx, "SELECT Id, LastName FROM Lead WHERE "+name+" = "+literal) {
			require.NoError(t, err)
			found = found || record.String("Id") == id
		}
		require.True(t, found, name)
	}
	field, _ := d.Field("CreatedDate")
	literal, err := salesforce.Literal(field, b.clock.Now())
	require.NoError(t, err)
	records, err := client.Query(ctx, "SELECT Id FROM Lead WHERE CreatedDate <= "+literal)
	require.NoError(t, err)
	require.NotEmpty(t, records)

	found, err := client.Search(ctx, salesforce.Search{
		Text: "taro@toyo.example", Scope: salesforce.SearchEmail, Objects: []salesforce.SearchObject{{Name: "Lead", Fields: []string{"Id", "Email"}}},
	})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "taro@toyo.example", found[0].String("Email"))
}

// TestOurClientsVersion speaks a version that the simulated org does not have, and asks for what changed.
func TestOurClientsVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ourClient().CheckVersion(t.Context()))
	cfg := salesforce.DefaultConfig()
	cfg.APIVersion = "99.0"
	future := salesforce.NewClient(cfg, salesforce.StaticToken{AccessToken: secret.New(b.token), InstanceURL: b.base}, salesforce.Deps{})
	require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(future.CheckVersion(t.Context())))

	g, changed, err := b.ourClient().DescribeGlobalIfModified(t.Context(), time.Time{})
	require.NoError(t, err)
	require.True(t, changed)
	require.False(t, g.ModifiedAt.IsZero())
	_, changed, err = b.ourClient().DescribeGlobalIfModified(t.Context(), g.ModifiedAt)
	require.NoError(t, err)
	require.False(t, changed)
}
