package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// callProgram runs the program as a shell would, and returns the exit code and what it said on standard error.
func callProgram(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var errs bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	code := execute(t.Context(), root, &errs)
	return code, errs.String()
}

func TestWrongUseIsExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"trase"}, `unknown command "trase"`},
		{[]string{"trace", "x"}, "missing: --workspace\nUsage: throughline trace <event-id>"},
		{[]string{"trace", "--workspace", "acme"}, "Usage: throughline trace <event-id>"},
		{[]string{"outcomes", "--wrokspace", "acme"}, "unknown flag: --wrokspace\nUsage: throughline outcomes"},
		{[]string{"integrations", "histori"}, "throughline integrations has no command \"histori\"; did you mean history?"},
		{[]string{"members", "list", "--dir"}, "Usage: throughline members list"},
		{[]string{"integrations", "show", "--dir", "x"}, `throughline integrations has no command "show"`},
		{[]string{"privacy", "erase", "--workspace", "acme"}, "missing: one of --address, --phone, --address-file"},
		{[]string{"serve"}, "no service named; choose from all, config"},
		{[]string{"serve", "wrtier"}, `there is no service "wrtier"`},
		{[]string{"generate", "--events", "many"}, "--events"},
	} {
		code, said := callProgram(t, c.args...)
		require.Equal(t, exitUsage, code, "%v", c.args)
		require.Contains(t, said, c.want, "%v", c.args)
		require.Contains(t, said, "--help has examples.", "%v", c.args)
	}
	code, said := callProgram(t, "serve", "all", "--config", "/nowhere.yaml")
	require.Equal(t, exitFailed, code)
	require.Equal(t, "throughline: configuration file /nowhere.yaml: open /nowhere.yaml: no such file or directory\n", said)
	code, _ = callProgram(t, "integrations")
	require.Zero(t, code, "what a command holds is shown")
}

func TestAServiceThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	code, said := callProgram(t, "connections", "--workspace", "acme", "--set", "settings.target=127.0.0.1:1", "--set", "admin_token_file=", "--set", "settings.token=a-token-of-16-characters")
	require.Equal(t, exitFailed, code)
	require.Contains(t, said, "the config service does not answer (dial tcp 127.0.0.1:1: connect: connection refused)")
	require.NotContains(t, said, "desc =")
}

func TestALineThatNamesNobodyIsFoundInItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "person.txt")
	require.NoError(t, os.WriteFile(path, []byte("taro@customer.example\n\nTaro Yamada\n"), 0o600))
	code, said := callProgram(t, "privacy", "erase", "--workspace", "acme", "--address-file", path)
	require.Equal(t, exitFailed, code)
	require.Contains(t, said, "--address-file: line 3 is neither an address nor a number")
	require.NotContains(t, said, "Taro")
}
