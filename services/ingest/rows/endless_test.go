package rows_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// zeros are what a few kilobytes of gzip unfold to.
func zeros(of byte, n int) io.Reader {
	in, out := io.Pipe()
	go func() {
		w := gzip.NewWriter(out)
		_, err := fmt.Fprintln(w, `{"begin":{"columns":["key"]}}`)
		for some := bytes.Repeat([]byte{of}, 1<<20); n > 0 && err == nil; n-- {
			_, err = w.Write(some)
		}
		out.CloseWithError(errors.Join(err, w.Close()))
	}()
	return in
}

func TestALineWithoutAnEndAndLinesOfNothingEndTheDelivery(t *testing.T) {
	t.Parallel()
	for _, of := range []byte{'x', '\n', ' '} {
		b := setup(t)
		b.cfg.SkipBytes = 1 << 20
		body := zeros(of, 8)
		w := b.post("application/x-ndjson", body, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
		require.Equal(t, http.StatusBadRequest, w.Code, "%q", of)
		require.Contains(t, w.Body.String(), "no end within the limit", "%q", of)
		rest, err := io.Copy(io.Discard, body)
		require.NoError(t, err)
		require.NotZero(t, rest, "the rest was not read")
	}
}
