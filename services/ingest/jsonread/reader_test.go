package jsonread_test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/ingest/jsonread"
)

// tokens reads a text to its end with the Reader, as one line per token.
func tokens(text string) ([]string, error) {
	var r jsonread.Reader
	if err := r.Reset(text); err != nil {
		return nil, err
	}
	var out []string
	var value func() error
	value = func() error {
		switch r.Kind() {
		case '{':
			out = append(out, "{")
			err := r.Object(func(name string) error {
				out = append(out, strconv.Quote(name))
				return value()
			})
			out = append(out, "}")
			return err
		case '[':
			out = append(out, "[")
			err := r.Array(func(int) error { return value() })
			out = append(out, "]")
			return err
		case '"':
			s, err := r.String()
			out = append(out, strconv.Quote(s))
			return err
		case '0':
			n, err := r.Number()
			out = append(out, strconv.FormatFloat(n, 'g', -1, 64))
			return err
		case 't', 'f':
			b, err := r.Bool()
			out = append(out, strconv.FormatBool(b))
			return err
		}
		out = append(out, "null")
		return r.Null()
	}
	if err := value(); err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	return out, nil
}

// reference is tokens by jsontext.
func reference(text string) ([]string, int, error) {
	d := jsontext.NewDecoder(bytes.NewReader([]byte(text)))
	var out []string
	depth := 0
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) && len(out) > 0 {
			return out, depth, nil
		}
		if err != nil {
			return nil, depth, err
		}
		if d.StackDepth() == 0 && len(out) > 0 && d.InputOffset() > 0 {
			if kind := token.Kind(); kind != '}' && kind != ']' {
				return nil, depth, errors.New("a second value")
			}
		}
		depth = max(depth, d.StackDepth())
		switch token.Kind() {
		case '"':
			out = append(out, strconv.Quote(token.String()))
		case '0':
			n, err := strconv.ParseFloat(token.String(), 64)
			if err != nil {
				return nil, depth, err
			}
			out = append(out, strconv.FormatFloat(n, 'g', -1, 64))
		default:
			out = append(out, token.String())
		}
		if depth == 0 && len(out) > 1 {
			return nil, depth, errors.New("a second value")
		}
	}
}

func TestReaderReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                   "{ }",
		"\t[ ]\n":                              "[ ]",
		`null`:                                 "null",
		`{"a":1,"b":[true,false,null,-0.5e2]}`: `{ "a" 1 "b" [ true false null -50 ] }`,
		`"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`: strconv.Quote("\"\\/\b\f\n\r\té😀"),
		`"資料"`:                                 `"資料"`,
		`{"a":{"a":{}}}`:                       `{ "a" { "a" { } } }`,
	} {
		got, err := tokens(text)
		require.NoError(t, err, text)
		require.Equal(t, want, strings.Join(got, " "), text)
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		``:                       jsonread.ErrEnd,
		`{`:                      jsonread.ErrEnd,
		`{"a"`:                   jsonread.ErrEnd,
		`{"a":`:                  jsonread.ErrEnd,
		`{"a":1`:                 jsonread.ErrEnd,
		`"abc`:                   jsonread.ErrEnd,
		`"abc\`:                  jsonread.ErrEnd,
		`"abc\u00`:               jsonread.ErrEnd,
		`tru`:                    jsonread.ErrEnd,
		`-`:                      jsonread.ErrEnd,
		`1.`:                     jsonread.ErrEnd,
		`1e`:                     jsonread.ErrEnd,
		`{a:1}`:                  jsonread.ErrSyntax,
		`{"a" 1}`:                jsonread.ErrSyntax,
		`{"a":1,}`:               jsonread.ErrSyntax,
		`[1,]`:                   jsonread.ErrSyntax,
		`[,]`:                    jsonread.ErrSyntax,
		`[1 2]`:                  jsonread.ErrSyntax,
		`nil`:                    jsonread.ErrSyntax,
		`+1`:                     jsonread.ErrSyntax,
		`.5`:                     jsonread.ErrSyntax,
		`NaN`:                    jsonread.ErrSyntax,
		`"a` + "\n" + `b"`:       jsonread.ErrSyntax,
		`"\x41"`:                 jsonread.ErrSyntax,
		`"\ud800"`:               jsonread.ErrSyntax,
		`"\ud800\u0041"`:         jsonread.ErrSyntax,
		`"\u+123"`:               jsonread.ErrSyntax,
		`01`:                     jsonread.ErrTrailing,
		`{} {}`:                  jsonread.ErrTrailing,
		`{}` + "\x00":            jsonread.ErrTrailing,
		"\"\xff\"":               jsonread.ErrUTF8,
		`{"a":1,"a":2}`:          jsonread.ErrDuplicate,
		`{"a":1,"\u0061":2}`:     jsonread.ErrDuplicate,
		`1e999`:                  jsonread.ErrRange,
		strings.Repeat("[", 200): jsonread.ErrDepth,
		strings.Repeat("[", jsonread.MaxDepth+1) + strings.Repeat("]", jsonread.MaxDepth+1): jsonread.ErrDepth,
	} {
		_, err := tokens(text)
		require.ErrorIs(t, err, want, text)
	}
}

func TestReaderFindsADuplicateAmongManyNames(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"skipped":{`)
	for i := range 20000 {
		b.WriteString(`"n` + strconv.Itoa(i) + `":1,`)
	}
	_, err := tokens(b.String() + `"last":1}}`)
	require.NoError(t, err)
	_, err = tokens(b.String() + `"n19998":1}}`)
	require.ErrorIs(t, err, jsonread.ErrDuplicate)
}

// FuzzReader holds the reader against the library that becomes encoding/json: same texts accepted, same tokens read.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		`{}`, `[1,-2.5e3,"\u00e9\ud83d\ude00",{"a":null,"b":[true,false]}]`, `{"a":1,"a":2}`, "\"\xff\"", `01`, `"\ud800"`,
		`[[[[]]]]`, `"a\/b"`, `1 2`, "\ufeff{}", `{"":{"":""}}`, ` `, `-0`, `1E+2`, `[1,]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, depth, wantErr := reference(text)
		got, err := tokens(text)
		if depth > jsonread.MaxDepth || errors.Is(err, jsonread.ErrDepth) {
			return
		}
		require.Equal(t, wantErr == nil, err == nil, "jsontext: %v, jsonread: %v", wantErr, err)
		require.Equal(t, want, got)

		var r jsonread.Reader
		if r.Reset(text) == nil {
			skipped := r.Skip()
			if skipped == nil {
				skipped = r.End()
			}
			if !errors.Is(err, jsonread.ErrRange) {
				require.Equal(t, err == nil, skipped == nil, "skipping is as strict as reading")
			}
		}
	})
}
