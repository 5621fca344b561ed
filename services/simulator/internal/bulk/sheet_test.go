package bulk

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReadSheet makes sure that whatever is uploaded, each row has a cell for each column, and that what is written back can
// be read again as the same rows.
func FuzzReadSheet(f *testing.F) {
	for _, seed := range []string{"", "a", "a,b\n1,2\n", "a,b\n\"1", "a,b\n\"1\",\"2\nx\"\n3", "\ufeffa\n#N/A\n", "a\r\nb\r\n", "a,b\n1, \"2\"\n", "\"\n\"\n\n"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, data string, crlf bool) {
		j := &Job{LineEnding: LF, Delimiter: "COMMA"}
		if crlf {
			j.LineEnding = CRLF
		}
		sh, reason := readSheet(j, data)
		var out bytes.Buffer
		w := newWriter(j, &out)
		w.write(append([]string{"n"}, sh.header...)...)
		for _, line := range sh.rows {
			require.Len(t, line.cells, len(sh.header))
			w.write(append([]string{"x"}, line.cells...)...)
		}
		if reason != "" {
			return
		}
		again, reason := readSheet(j, out.String())
		if reason != "" || out.Len() > maxHeader {
			return // one column more may be one too many
		}
		require.Len(t, again.rows, len(sh.rows))
		for i, line := range sh.rows {
			require.Empty(t, again.rows[i].bad)
			if line.bad == "" && !crlf {
				require.Equal(t, line.cells, again.rows[i].cells[1:])
			}
		}
	})
}
