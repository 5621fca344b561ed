package main

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// setupAccounts is a config service whose workspace has a connection with a dangerous name.
func setupAccounts(t *testing.T) *testBundle {
	t.Helper()
	b := setupConfig(t)
	_, err := b.client.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: &configv1.Connection{
		Workspace: "acme", Id: "production", Name: `=HYPERLINK("https://evil.example")`, LoginUrl: "https://login.salesforce.com",
		Grant: &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{ClientId: "key", ClientSecret: "secret"}},
	}})
	require.NoError(t, err)
	return b
}

func TestAccountsOnTheCommandLine(t *testing.T) {
	t.Attr("requirement", "WALK-5")
	t.Parallel()
	b := setupAccounts(t)
	text, err := b.run(t, "admin.token", "connections", "--workspace", "acme", "--csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, columnNames(), rows[0])
	require.Equal(t, []string{"production", `'=HYPERLINK("https://evil.example")`, "production"}, rows[1][:3], "no cell is a formula")
	require.Contains(t, rows[1], "aoi")
	require.Contains(t, rows[1], "logged_in")
	require.Contains(t, rows[1], "inactive")

	text, err = b.run(t, "admin.token", "connections", "--workspace", "acme", "--csv", "--columns", "login,connection", "--search", "EVIL")
	require.NoError(t, err)
	require.Equal(t, "login,connection\r\nlogged_in,production\r\n", text, "columns can be left out")
	text, err = b.run(t, "admin.token", "connections", "--workspace", "acme", "--csv", "--columns", "connection", "--search", "nobody")
	require.NoError(t, err)
	require.Equal(t, "connection\r\n", text)
	_, err = b.run(t, "admin.token", "connections", "--workspace", "acme", "--csv", "--columns", "password")
	require.ErrorContains(t, err, `there is no "password"`)
	text, err = b.run(t, "admin.token", "connections", "--workspace", "acme", "--accounts")
	require.NoError(t, err)
	require.Contains(t, text, "logged_in", "as a table for people")

	text, err = b.run(t, "admin.token", "connections", "dependants", "--workspace", "acme", "production", "--json")
	require.NoError(t, err)
	require.Empty(t, text)
	_, err = b.run(t, "admin.token", "connections", "restore", "--workspace", "acme", "production")
	require.ErrorContains(t, err, "--none")
	text, err = b.run(t, "admin.token", "connections", "restore", "--workspace", "acme", "production", "--all")
	require.NoError(t, err)
	require.Contains(t, text, "0 integrations are on again")
	text, err = b.run(t, "admin.token", "connections", "delete", "--workspace", "acme", "production")
	require.NoError(t, err)
	require.Contains(t, text, "production is deleted")
}

func TestPlansOnTheCommandLine(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	b := setupAccounts(t)
	text, err := b.run(t, "admin.token", "plans", "set", "--workspace", "acme", "video", "trial", "--counts-as", "enterprise", "--from", "2026-01-01T00:00:00Z")
	require.NoError(t, err)
	require.Contains(t, text, "2026-01-01T00:00:00Z")
	text, err = b.run(t, "admin.token", "plans", "show", "--workspace", "acme")
	require.NoError(t, err)
	require.Contains(t, text, "trial")
	require.Contains(t, text, "included")
	_, err = b.run(t, "admin.token", "plans", "set", "--workspace", "acme", "radio", "enterprise")
	require.ErrorContains(t, err, "there are video")
	_, err = b.run(t, "admin.token", "plans", "set", "--workspace", "acme", "video", "enterprise", "--from", "tomorrow")
	require.ErrorContains(t, err, "--from")
}
