package config_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

type catalogueBundle struct {
	*testBundle
	live      *liveOrg
	catalogue configv1.CatalogueServiceClient
}

// prepareCatalogue makes a config service that nothing runs with yet, and the org it will ask.
func prepareCatalogue(t *testing.T) *catalogueBundle {
	t.Helper()
	b := &catalogueBundle{testBundle: prepare(t)}
	b.live = &liveOrg{clock: b.clock}
	b.live.change(t, stageField, "")
	b.live.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.live.down.Load() {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/sobjects/Score__c/describe") {
			b.live.asked.Add(1)
		}
		(*b.live.handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(b.live.server.Close)
	b.cfg.Catalogue.CheckEvery = 5 * time.Millisecond
	return b
}

func (b *catalogueBundle) start(t *testing.T) {
	t.Helper()
	b.testBundle.start(t)
	b.catalogue = configv1.NewCatalogueServiceClient(b.dial(t, adminToken))
}

func setupCatalogue(t *testing.T) *catalogueBundle {
	t.Helper()
	b := prepareCatalogue(t)
	b.start(t)
	b.connect(t, "acme")
	return b
}

// connect creates a workspace whose connection leads to the simulated org.
func (b *catalogueBundle) connect(t *testing.T, workspace string) {
	t.Helper()
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: workspace, Name: workspace}})
	require.NoError(t, err)
	c := b.connection(workspace)
	c.LoginUrl = b.live.server.URL + "/orgs/acme"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
}

// alter changes the org and lets what is known of it grow old: the org's time stamps count seconds.
func (b *catalogueBundle) alter(t *testing.T, fields, profile string) {
	t.Helper()
	b.clock.Advance(time.Second)
	b.live.change(t, fields, profile)
	b.clock.Advance(b.cfg.Catalogue.RefreshEvery)
}

// describes counts the questions about the object of the integrations.
func (b *catalogueBundle) describes() int { return int(b.live.asked.Load()) }

func text(field, value string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Constant{
		Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: value}},
	}}
}

func from(field, path string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Path{Path: path}}
}

// scoring is a rule that writes Score__c.
func scoring(fields ...*configv1.FieldMapping) *configv1.Integration {
	return &configv1.Integration{
		Workspace: "acme", Id: "score", Connection: "main", Enabled: true, Trigger: configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED,
		Actions: []*configv1.Action{{
			Name: "score", Object: "Score__c", Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT,
			ExternalIdField: "Key__c", Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: fields,
		}},
	}
}

func (b *catalogueBundle) put(t *testing.T, i *configv1.Integration) (*configv1.PutIntegrationResponse, error) {
	t.Helper()
	return b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
}

func (b *catalogueBundle) broken(t *testing.T) []*configv1.BrokenIntegration {
	t.Helper()
	resp, err := b.catalogue.ListBroken(t.Context(), &configv1.ListBrokenRequest{Workspace: "acme"})
	require.NoError(t, err)
	return resp.GetBroken()
}

// becomes waits until the rule is listed as broken, or not any more.
func (b *catalogueBundle) becomes(t *testing.T, broken bool) []*configv1.BrokenIntegration {
	t.Helper()
	require.Eventually(t, func() bool { return len(b.broken(t)) > 0 == broken }, time.Minute, 5*time.Millisecond)
	return b.broken(t)
}

func TestAnIntegrationIsSavedOnlyIfItFitsItsOrg(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	for name, c := range map[string]struct {
		rule  *configv1.Integration
		field string
		says  string
	}{
		"unknown field":  {scoring(text("Nowhere__c", "x")), "integration.actions[0].fields[0].field", "SF_FIELD_GONE"},
		"read-only":      {scoring(from("CreatedDate", "visit.last_activity_at")), "integration.actions[0].fields[0].field", "SF_NO_PERMISSION"},
		"type":           {scoring(from("Points__c", "content.title")), "integration.actions[0].fields[0]", "is of type double"},
		"picklist value": {scoring(text("Stage__c", "Won")), "integration.actions[0].fields[0].constant", `no active value "Won"`},
		"too long":       {scoring(text("Note__c", strings.Repeat("x", 101))), "integration.actions[0].fields[0].constant", "101 characters"},
		"no external id": {func() *configv1.Integration {
			i := scoring(text("Note__c", "x"))
			i.Actions[0].ExternalIdField = "Loose_Key__c"
			return i
		}(), "integration.actions[0].external_id_field", "no external id"},
		"unknown object": {func() *configv1.Integration {
			i := scoring(text("Note__c", "x"))
			i.Actions[0].Object = "Nothing__c"
			return i
		}(), "integration.actions[0].object", "SF_FIELD_GONE"},
		"required": {func() *configv1.Integration {
			i := rule("acme")
			i.Actions[0].Object, i.Actions[0].Fields = "Lead", []*configv1.FieldMapping{text("LastName", "x")}
			return i
		}(), "integration.actions[0].fields", "Company"},
	} {
		_, err := b.put(t, c.rule)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.Equal(t, []string{c.field}, fieldsOf(t, err), name)
		require.ErrorContains(t, err, c.says, name)

		checked, err := b.catalogue.ValidateIntegration(t.Context(), &configv1.ValidateIntegrationRequest{Integration: c.rule})
		require.NoError(t, err, name)
		require.Len(t, checked.GetProblems(), 1, name)
		require.Equal(t, strings.TrimPrefix(c.field, "integration."), checked.GetProblems()[0].GetField(), name)
		require.Contains(t, checked.GetProblems()[0].GetDescription(), c.says, name)
	}
	saved, err := b.put(t, scoring(text("Stage__c", "Closed"), from("Points__c", "engagement.views"), from("Note__c", "content.title")))
	require.NoError(t, err)
	require.Empty(t, saved.GetNotes())
	require.Equal(t, map[string]int32{"Score__c.Note__c": 100}, saved.GetIntegration().GetDescribedLengths())
	checked, err := b.catalogue.ValidateIntegration(t.Context(), &configv1.ValidateIntegrationRequest{Integration: saved.GetIntegration()})
	require.NoError(t, err)
	require.Empty(t, checked.GetProblems())

	off := scoring(text("Nowhere__c", "x"))
	off.Id, off.Enabled = "off", false
	_, err = b.put(t, off)
	require.NoError(t, err, "what is switched off is kept from nobody")
	list, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetIntegrations(), 2, "checking saves nothing")
}

func TestAnOrgThatCannotBeAskedIsANoteAndNoRefusal(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	b.live.down.Store(true)
	saved, err := b.put(t, scoring(text("Nowhere__c", "x")))
	require.NoError(t, err)
	require.Equal(t, []string{"could not check Score__c: the org of connection main could not be asked"}, saved.GetNotes())

	// Once it answers again, what should not have been saved is named.
	b.live.down.Store(false)
	b.clock.Advance(b.cfg.Catalogue.RefreshEvery)
	broken := b.becomes(t, true)
	require.Equal(t, "actions[0].fields[0].field", broken[0].GetProblems()[0].GetField())
}

func TestAnswersAreKeptAndOutliveARestart(t *testing.T) {
	t.Parallel()
	b := prepareCatalogue(t)
	b.cfg.Catalogue.CheckEvery = time.Hour
	b.start(t)
	b.connect(t, "acme")
	_, err := b.put(t, scoring(text("Note__c", "x")))
	require.NoError(t, err)
	b.stop()

	b.live.change(t, wonToo, "")
	b.start(t)
	got, err := b.catalogue.DescribeObject(t.Context(), &configv1.DescribeObjectRequest{Workspace: "acme", Connection: "main", Object: "Score__c"})
	require.NoError(t, err)
	require.True(t, got.GetAskedAt().AsTime().Equal(epoch))
	stage := got.GetObject().GetFields()[slices.IndexFunc(got.GetObject().GetFields(), func(f *configv1.DescribedField) bool { return f.GetName() == "Stage__c" })]
	require.Contains(t, stage.String(), "Closed", "nobody asks for what is known")
	b.live.change(t, stageField, "")

	// An old answer is used when there is no newer one, and says so.
	b.live.down.Store(true)
	b.clock.Advance(b.cfg.Catalogue.RefreshEvery)
	bad := scoring(text("Nowhere__c", "x"))
	bad.Id = "bad"
	_, err = b.put(t, bad)
	require.Equal(t, []string{"integration.actions[0].fields[0].field"}, fieldsOf(t, err))
	good := scoring(text("Note__c", "x"))
	good.Id = "good"
	saved, err := b.put(t, good)
	require.NoError(t, err)
	require.Contains(t, saved.GetNotes()[0], "checked Score__c against what the org of connection main said at 2026-03-01T09:00:00Z")
}

func TestIntegrationsThatTheOrgOutgrewAreNamedUntilTheyFit(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	saved, err := b.put(t, scoring(text("Stage__c", "Closed"), from("Note__c", "content.title")))
	require.NoError(t, err)
	require.Empty(t, b.broken(t))

	for name, c := range map[string]struct{ fields, profile, says string }{
		"field gone":           {"", "", "SF_FIELD_GONE: Score__c has no field Stage__c"},
		"picklist value gone":  {wonToo, "", `no active value "Closed"`},
		"now required":         {stageField + "          - {name: New__c, type: string, required: true}\n", "", "a new Score__c needs"},
		"shorter":              {stageField + "          - {name: Note__c, type: string, length: 40}\n", "", "takes 40 characters now, and took 100"},
		"type changed":         {"          - {name: Stage__c, type: boolean}\n", "", "is of type boolean"},
		"hidden from the user": {stageField, ", hidden_fields: [Score__c.Stage__c]", "SF_FIELD_GONE"},
		"read-only":            {stageField, ", read_only_fields: [Score__c.Stage__c]", "SF_NO_PERMISSION"},
		"no right to create":   {stageField, ", objects: {Score__c: [read]}", "may not create"},
	} {
		b.alter(t, c.fields, c.profile)
		broken := b.becomes(t, true)
		require.Len(t, broken, 1, name)
		require.Equal(t, "score", broken[0].GetIntegration(), name)
		require.Equal(t, saved.GetIntegration().GetVersion(), broken[0].GetVersion(), name)
		require.Contains(t, broken[0].GetProblems()[0].GetDescription(), c.says, name)

		b.alter(t, stageField, "")
		b.becomes(t, false)
	}

	// Saving a version that fits heals at once.
	b.alter(t, wonToo, "")
	b.becomes(t, true)
	next := proto.CloneOf(saved.GetIntegration())
	next.Actions[0].Fields[0] = text("Stage__c", "Won")
	_, err = b.put(t, next)
	require.NoError(t, err)
	require.Empty(t, b.broken(t))
}

func TestARefreshOnDemandTellsWhatChangedAndWhatBroke(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	_, err := b.put(t, scoring(text("Stage__c", "Closed")))
	require.NoError(t, err)
	refresh := func() *configv1.RefreshCatalogueResponse {
		resp, err := b.catalogue.RefreshCatalogue(t.Context(), &configv1.RefreshCatalogueRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		return resp
	}
	same := refresh()
	require.Len(t, same.GetObjects(), 1)
	require.False(t, same.GetObjects()[0].GetChanged())
	require.Empty(t, same.GetBroken())

	b.live.change(t, "", "") // nothing but rights and fields: the org's own time stamp has not moved
	changed := refresh()
	require.True(t, changed.GetObjects()[0].GetChanged())
	require.Len(t, changed.GetBroken(), 1)

	b.live.down.Store(true)
	_, err = b.catalogue.RefreshCatalogue(t.Context(), &configv1.RefreshCatalogueRequest{Workspace: "acme", Connection: "main"})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestFieldPickersSeeWhatTheUserSees(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	objects, err := b.catalogue.ListObjects(t.Context(), &configv1.ListObjectsRequest{Workspace: "acme", Connection: "main", Search: "score"})
	require.NoError(t, err)
	require.Len(t, objects.GetObjects(), 1)
	require.Equal(t, "Score", objects.GetObjects()[0].GetLabel())
	all, err := b.catalogue.ListObjects(t.Context(), &configv1.ListObjectsRequest{Workspace: "acme", Connection: "main", Createable: true})
	require.NoError(t, err)
	require.Greater(t, len(all.GetObjects()), 5)

	got, err := b.catalogue.DescribeObject(t.Context(), &configv1.DescribeObjectRequest{Workspace: "acme", Connection: "main", Object: "Score__c"})
	require.NoError(t, err)
	fields := map[string]*configv1.DescribedField{}
	for _, f := range got.GetObject().GetFields() {
		fields[f.GetName()] = f
	}
	require.Equal(t, "Stage", fields["Stage__c"].GetLabel())
	require.Len(t, fields["Stage__c"].GetPicklist(), 2)
	require.True(t, fields["Key__c"].GetExternalId())
	require.False(t, fields["CreatedDate"].GetCreateable())

	for _, bad := range []*configv1.DescribeObjectRequest{
		{Workspace: "acme", Connection: "main", Object: "Nothing__c"}, {Workspace: "acme", Connection: "other", Object: "Score__c"},
	} {
		_, err = b.catalogue.DescribeObject(t.Context(), bad)
		require.Equal(t, codes.NotFound, status.Code(err))
	}
}

func TestABadCatalogueConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*config.Catalogue){
		"refresh_every": func(c *config.Catalogue) { c.RefreshEvery = 7 * time.Hour }, "read_every": func(c *config.Catalogue) { c.ReadEvery = time.Hour },
		"check_every": func(c *config.Catalogue) { c.CheckEvery = 0 }, "retry_after": func(c *config.Catalogue) { c.RetryAfter = 0 },
		"refused_every": func(c *config.Catalogue) { c.RefusedEvery = 0 }, "timeout": func(c *config.Catalogue) { c.Timeout = 0 },
		"concurrency": func(c *config.Catalogue) { c.Concurrency = 0 }, "max_objects": func(c *config.Catalogue) { c.MaxObjects = 0 },
		"max_object_bytes": func(c *config.Catalogue) { c.MaxObjectBytes = 1 }, "queue": func(c *config.Catalogue) { c.Queue = 0 },
	} {
		cfg := config.DefaultConfig()
		require.NoError(t, cfg.Validate())
		change(&cfg.Catalogue)
		require.ErrorContains(t, cfg.Validate(), "catalogue."+key)
	}
}
