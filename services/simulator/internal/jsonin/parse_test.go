package jsonin_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
)

func TestParse(t *testing.T) {
	t.Parallel()

	t.Run("KeepsOrderAndPositions", func(t *testing.T) {
		t.Parallel()
		v, err := jsonin.Parse(`{"B":1,"a":["x",null,true],"b":{"c":-1.5e3}}`)
		require.NoError(t, err)
		require.Equal(t, []string{"B", "a", "b"}, []string{v.Members[0].Key, v.Members[1].Key, v.Members[2].Key})
		last, ok := v.Get("B")
		require.True(t, ok)
		require.Equal(t, jsonin.Object, last.Kind, "the last of equal keys counts")
		require.Equal(t, "-1.5e3", last.Members[0].Value.Text)
		require.Equal(t, 5, v.Members[0].Value.Pos)
	})

	t.Run("NamesLineAndColumn", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]string{
			"{}}":            "Unexpected character ('}' (code 125)): expected the end of the body at [line:1, column:3]",
			"{\n  bad}":      "Unexpected character ('b' (code 98)): was expecting double-quote to start field name at [line:2, column:3]",
			"":               "Unexpected end-of-input: expected a value at [line:1, column:1]",
			`{"a":01}`:       "Invalid numeric value at [line:1, column:6]",
			"[\"a\nb\"]":     "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash at [line:1, column:4]",
			`{"a":1,}`:       "Unexpected character ('}' (code 125)): was expecting double-quote to start field name at [line:1, column:8]",
			`[` + `{"a":"b"`: "Unexpected end-of-input: was expecting comma or '}' at [line:1, column:10]",
		} {
			_, err := jsonin.Parse(body)
			require.EqualError(t, err, want, body)
		}
	})

	t.Run("RefusesDeepNesting", func(t *testing.T) {
		t.Parallel()
		_, err := jsonin.Parse(strings.Repeat("[", 10_000))
		require.ErrorContains(t, err, "Nesting deeper")
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"\u00e9\ud83d\ude00\n"}`, `[1,-0.5e+7,"x",null]`, `{"a":{"b":[{}]}}`, "\"\xff\"", `"\ud800"`, `1e`, `-`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := jsonin.Parse(body)
		var want any
		wantErr := json.Unmarshal([]byte(body), &want)
		if strings.Count(body, "[")+strings.Count(body, "{") > jsonin.MaxDepth {
			return
		}
		if outOfRange(wantErr) {
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("Parse: %v, encoding/json: %v", err, wantErr)
		}
		if err == nil && v.Kind == jsonin.String && v.Text != want {
			t.Fatalf("Parse read %q, encoding/json %q", v.Text, want)
		}
	})
}

// outOfRange reports whether encoding/json refused a number that is well written but too large for a float64.
func outOfRange(err error) bool {
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &mismatch)
}
