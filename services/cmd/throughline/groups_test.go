package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroupsCommand(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	ok := func(args ...string) string {
		t.Helper()
		out, err := b.run(t, "admin.token", append([]string{"groups"}, append(args, "--workspace", "acme")...)...)
		require.NoError(t, err, out)
		return out
	}
	require.Contains(t, ok("set", "sales", "--tracking", "on", "--require-address", "on", "--rank", "2"), "sales")
	require.Contains(t, ok("set", "legal", "--tracking", "off", "--rank", "1"), "legal")
	_, err := b.run(t, "admin.token", "groups", "set", "staff", "--rank", "1", "--workspace", "acme")
	require.ErrorContains(t, err, "rank 1 is that of group")
	_, err = b.run(t, "admin.token", "groups", "set", "sales", "--tracking", "yes", "--workspace", "acme")
	require.ErrorContains(t, err, "say on, off or none")
	_, err = b.run(t, "admin.token", "groups", "remove", "staff", "--workspace", "acme")
	require.ErrorContains(t, err, "no defaults for a group staff")
	require.Regexp(t, `tracking\W+on\W+group\W+sales`, ok("resolve", "--group", "sales", "--group", "legal"))
	require.Contains(t, ok("rules", "--combination", "highest-rank", "--locked"), "the highest-ranked group decides, choices are locked")
	require.Regexp(t, `tracking\W+off\W+group\W+legal`, ok("resolve", "--group", "sales", "--group", "legal"))
	require.Contains(t, ok("record", "pitch", "--group", "sales"), "tracking")
	require.Contains(t, ok("record", "pitch", "--group", "sales"), "was recorded before")

	ok("set", "sales", "--tracking", "off", "--require-address", "none")
	shown := ok("apply", "--group", "sales")
	require.Regexp(t, `pitch\W+on → off\W+on → off`, shown)
	fingerprint := regexp.MustCompile(`fingerprint: (\w+)`).FindStringSubmatch(shown)
	require.Contains(t, ok("apply", "--group", "sales", "--fingerprint", fingerprint[1], "--why", "new policy"), "1 contents changed")
	require.Contains(t, ok("list", "--json"), `"locked":true`)
	require.NotContains(t, ok("remove", "legal"), "legal")
	out, err := b.run(t, "admin.token", "settings", "history", "content-defaults", "acme", "--workspace", "acme")
	require.NoError(t, err)
	require.Contains(t, out, `groups["sales"].tracking: true → false`)
	_, err = b.run(t, "admin.token", "settings", "history", "colour", "acme", "--workspace", "acme")
	require.ErrorContains(t, err, "content-defaults, event-setup")
}

func TestDefaultsAndEventsAreAppliedFromFiles(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	file := b.path("settings.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(`
kind: ContentDefaults
workspace: acme
combination: COMBINATION_RULE_ANY_ON
groups:
  sales: {tracking: true, rank: 1}
---
kind: EventSetup
workspace: acme
`)
	out, err := b.run(t, "admin.token", "apply", "-f", file, "--why", "as reviewed")
	require.NoError(t, err, out)
	require.Regexp(t, `ContentDefaults\s+acme\s+acme\s+created`, out)
	require.Regexp(t, `EventSetup\s+acme\s+acme\s+created`, out)
	require.Contains(t, out, "Connected, nothing will be exchanged.")
	out, err = b.run(t, "admin.token", "apply", "-f", file)
	require.NoError(t, err)
	require.NotContains(t, out, "created")
	require.NotContains(t, out, "updated")

	write(`
kind: EventSetup
workspace: acme
export: {object: Lead}
`)
	out, err = b.run(t, "admin.token", "apply", "-f", file, "--dry-run")
	require.ErrorContains(t, err, "1 of 1 documents would be refused")
	require.Contains(t, out, "would be refused: export.fields: map last name to a field")
	_, err = b.run(t, "admin.token", "apply", "-f", file)
	require.ErrorContains(t, err, "setup.connection")
	out, err = b.run(t, "admin.token", "events", "check", "-f", file)
	require.NoError(t, err)
	require.Contains(t, out, "1. export: incomplete")
	out, err = b.run(t, "admin.token", "events", "show", "--workspace", "acme")
	require.NoError(t, err)
	require.Contains(t, out, "version 1")
	require.Contains(t, out, "on: none")
	_, err = b.run(t, "admin.token", "events", "show", "--workspace", "acme", "--at", "yesterday")
	require.ErrorContains(t, err, "want a time")
}

func TestDraftsCommand(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	put := func(content, expect string) error {
		root := newRoot()
		root.SetIn(strings.NewReader(content))
		root.SetOut(io.Discard)
		root.SetArgs([]string{
			"drafts", "put", "--workspace", "acme", "report", "weekly", "--expect", expect,
			"--set", "settings.target=" + b.svc.Addr(), "--set", "admin_token_file=" + b.path("admin.token"),
		})
		return root.ExecuteContext(t.Context())
	}
	require.NoError(t, put(`{"one": 1}`, "0"))
	require.NoError(t, put(`{"two": 2}`, "1"))
	require.ErrorContains(t, put(`{"three": 3}`, "1"), "save it with version 2")
	out, err := b.run(t, "admin.token", "drafts", "show", "--workspace", "acme", "report", "weekly")
	require.NoError(t, err)
	require.Equal(t, `{"two": 2}`, out)
	out, err = b.run(t, "admin.token", "drafts", "list", "--workspace", "acme")
	require.NoError(t, err)
	require.Contains(t, out, "weekly")
	_, err = b.run(t, "admin.token", "drafts", "delete", "--workspace", "acme", "report", "weekly")
	require.NoError(t, err)
	_, err = b.run(t, "admin.token", "drafts", "show", "--workspace", "acme", "report", "weekly")
	require.Error(t, err)
}
