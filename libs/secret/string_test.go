package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/throughline-dev/throughline/libs/secret"
)

const value = "s3cr3t-value"

type exported struct {
	Token secret.String  `json:"token" yaml:"token"`
	Ptr   *secret.String `json:"ptr" yaml:"ptr"`
}

type unexported struct{ token secret.String }

func TestStringIsNeverShown(t *testing.T) {
	t.Parallel()

	s := secret.New(value)
	holder := exported{Token: s, Ptr: &s}
	var logs bytes.Buffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("hello", "token", s, "holder", holder)
	slog.New(slog.NewTextHandler(&logs, nil)).Info("hello", "token", s, "holder", holder, "hidden", unexported{s})

	shown := map[string]string{
		"logs":  logs.String(),
		"error": fmt.Errorf("wrapped: %w (%v)", fmt.Errorf("%s", s), holder).Error(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		shown[verb] = fmt.Sprintf(verb+verb+verb, s, holder, unexported{token: s})
	}
	for name, marshal := range map[string]func(any) ([]byte, error){
		"json": json.Marshal, "yaml": yaml.Marshal, "sigs yaml": sigsyaml.Marshal, "xml": xml.Marshal,
	} {
		b, err := marshal(holder)
		require.NoError(t, err, name)
		require.Contains(t, string(b), secret.Redacted, name)
		shown[name] = string(b)
	}
	for name, text := range shown {
		require.NotContains(t, text, value, name)
	}
	require.Equal(t, value, s.Reveal())
}

func TestEmptyStringShowsNothing(t *testing.T) {
	t.Parallel()

	var s secret.String
	require.True(t, s.IsEmpty())
	require.Empty(t, s.Reveal())
	require.Empty(t, fmt.Sprint(s))
	require.Equal(t, secret.New(""), s)
}

func TestStringReadsFromText(t *testing.T) {
	t.Parallel()

	var fromJSON, fromYAML exported
	require.NoError(t, json.Unmarshal([]byte(`{"token":"`+value+`"}`), &fromJSON))
	require.NoError(t, yaml.Unmarshal([]byte("token: "+value), &fromYAML))
	require.Equal(t, value, fromJSON.Token.Reveal())
	require.Equal(t, value, fromYAML.Token.Reveal())

	err := json.Unmarshal([]byte(`{"token":"[REDACTED]"}`), &fromJSON)
	require.ErrorContains(t, err, "placeholder")
}

func TestEqualComparesValues(t *testing.T) {
	t.Parallel()

	require.True(t, secret.New(value).Equal(secret.New(value)))
	require.False(t, secret.New(value).Equal(secret.New("other")))
	require.True(t, secret.String{}.Equal(secret.New("")))
}
