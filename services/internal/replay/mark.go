package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/libs/stage"
)

// maxMarkBytes bounds a mark that is read: some 100 partitions.
const maxMarkBytes = 8 << 10

// mark is what is left of a replay: the offsets of tl.deadletters.v1 still to be read, up to what was its end when the
// replay began, so that what failed again meanwhile is not part of it.
type mark map[int]stage.OffsetRange

// text is the mark as a person hands it on, e.g. "5f1c2a90:0=120-400,3=88-391"; "" when nothing is left. It begins with the
// filter's fingerprint: with another filter the same offsets would mean other letters.
func (m mark) text(f *Filter) string {
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(m)) {
		if r := m[p]; r.Start < r.End {
			parts = append(parts, fmt.Sprintf("%d=%d-%d", p, r.Start, r.End))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return f.fingerprint() + ":" + strings.Join(parts, ",")
}

// errMark refuses a mark that nobody can have printed.
var errMark = errors.New("--resume: this is no mark of a stopped replay; give it as its report printed it")

// parseMark reads what text wrote for the same filter.
func parseMark(text string, f *Filter) (mark, error) {
	if len(text) > maxMarkBytes {
		return nil, errMark
	}
	fingerprint, rest, ok := strings.Cut(text, ":")
	if !ok {
		return nil, errMark
	}
	if fingerprint != f.fingerprint() {
		return nil, errors.New("--resume: the mark is of a replay with another filter; give the same one, or leave --resume out")
	}
	m := mark{}
	for part := range strings.SplitSeq(rest, ",") {
		partition, offsets, _ := strings.Cut(part, "=")
		start, end, _ := strings.Cut(offsets, "-")
		p, err1 := strconv.ParseUint(partition, 10, 31)
		from, err2 := strconv.ParseUint(start, 10, 63)
		to, err3 := strconv.ParseUint(end, 10, 63)
		if _, twice := m[int(p)]; err1 != nil || err2 != nil || err3 != nil || from >= to || twice {
			return nil, errMark
		}
		m[int(p)] = stage.OffsetRange{Start: int64(from), End: int64(to)}
	}
	return m, nil
}

// fingerprint tells filters apart.
func (f *Filter) fingerprint() string {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // only text and times, which have been parsed
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}
