package config_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/apply"
)

const acmeFile = `
recipe: document-close-task
workspace: acme
id: follow-up
connection: main
---
kind: ApiKey
workspace: acme
id: web
---
kind: ContentSetting
workspace: acme
content_id: hidden
---
kind: Connection
workspace: acme
id: main
login_url: %s/
client_credentials: {client_id: consumer, client_secret: %s}
---
kind: Workspace
id: acme
name: %s
visits: {settle: 0s}
`

func (b *testBundle) apply(t *testing.T, opts apply.Options, name, secret string) (apply.Report, error) {
	t.Helper()
	docs, err := apply.Parse("acme.yaml", fmt.Appendf(nil, acmeFile, b.org.server.URL, secret, name))
	require.NoError(t, err)
	return apply.Run(t.Context(), b.admin, docs, opts)
}

func actions(r apply.Report) string {
	var out []string
	for _, x := range r.Results {
		out = append(out, x.Kind+" "+string(x.Action))
	}
	return strings.Join(out, ", ")
}

func TestApply(t *testing.T) {
	t.Parallel()

	t.Run("CreatesInOrderAndThenChangesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first, err := b.apply(t, apply.Options{}, "Acme", "consumer-secret")
		require.NoError(t, err)
		require.Equal(t, "Workspace created, Connection created, Integration created, ContentSetting created, ApiKey created",
			actions(first))
		require.Contains(t, first.Results[4].Secret.Reveal(), "tl_acme_web_")
		before := receive(t, b.watch(t, 0)).GetRevision()

		second, err := b.apply(t, apply.Options{}, "Acme", "consumer-secret")
		require.NoError(t, err)
		require.Equal(t, "Workspace unchanged, Connection unchanged, Integration unchanged, ContentSetting unchanged, ApiKey unchanged",
			actions(second))
		require.Equal(t, before, receive(t, b.watch(t, 0)).GetRevision())
	})

	t.Run("ChangesOnlyWhatDiffers", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.apply(t, apply.Options{}, "Acme", "consumer-secret")
		require.NoError(t, err)
		report, err := b.apply(t, apply.Options{}, "Acme KK", "new-secret")
		require.NoError(t, err)
		require.Equal(t, "Workspace updated, Connection updated, Integration unchanged, ContentSetting unchanged, ApiKey unchanged",
			actions(report))
		require.Equal(t, []string{`name: "Acme" → "Acme KK"`}, report.Results[0].Changes)
		require.Equal(t, []string{"secrets: changed"}, report.Results[1].Changes)
		var out bytes.Buffer
		require.NoError(t, report.Write(&out))
		require.NotContains(t, out.String(), "new-secret")
	})

	t.Run("DryRunSavesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		before := receive(t, b.watch(t, 0)).GetRevision()
		report, err := b.apply(t, apply.Options{DryRun: true}, "Acme", "consumer-secret")
		require.NoError(t, err)
		require.Equal(t, "Workspace created, Connection created, Integration created, ContentSetting created, ApiKey created",
			actions(report))
		require.Equal(t, before, receive(t, b.watch(t, 0)).GetRevision())
	})

	t.Run("NamesTheDocumentThatIsRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		docs, err := apply.Parse("acme.yaml", []byte("kind: Workspace\nid: acme\nname: A\n---\nkind: Workspace\nid: Bad Id\nname: B"))
		require.NoError(t, err)
		report, err := apply.Run(t.Context(), b.admin, docs, apply.Options{})
		require.ErrorContains(t, err, "acme.yaml:5: Workspace Bad Id: refused:\n  workspace.id:")
		require.Equal(t, "Workspace created", actions(report))
	})

	t.Run("TakesSettingsMadeInCode", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		docs := apply.Settings("demo", &configv1.Workspace{Id: "acme", Name: "Acme"})
		docs = append(docs, apply.Settings("demo", b.connection("acme"))...)
		docs = append(docs, apply.Settings("demo", rule("acme"))...)
		for _, want := range []string{
			"Workspace created, Connection created, Integration created",
			"Workspace unchanged, Connection unchanged, Integration unchanged",
		} {
			report, err := apply.Run(t.Context(), b.admin, docs, apply.Options{})
			require.NoError(t, err)
			require.Equal(t, want, actions(report))
		}
	})
}

func TestADryRunTellsWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	check := func(ctx context.Context, i *configv1.Integration) (*configv1.ValidateIntegrationResponse, error) {
		return b.catalogue.ValidateIntegration(ctx, &configv1.ValidateIntegrationRequest{Integration: i})
	}
	run := func(i *configv1.Integration) (apply.Report, error) {
		return apply.Run(t.Context(), b.admin, apply.Settings("file", i), apply.Options{DryRun: true, Check: check})
	}
	report, err := run(scoring(text("Note__c", "x")))
	require.NoError(t, err)
	require.Equal(t, apply.Created, report.Results[0].Action)

	report, err = run(scoring(text("Nowhere__c", "x")))
	require.ErrorContains(t, err, "1 of 1 documents would be refused")
	var out bytes.Buffer
	require.NoError(t, report.Write(&out))
	require.Contains(t, out.String(), "would be refused: actions[0].fields[0].field: SF_FIELD_GONE")

	off := scoring(text("Nowhere__c", "x"))
	off.Enabled = false
	_, err = run(off)
	require.NoError(t, err)
	early := scoring(text("Nowhere__c", "x"))
	early.Connection = "later"
	report, err = run(early)
	require.NoError(t, err)
	require.Contains(t, report.Results[0].Notes[0], "its connection is not there yet")
}
