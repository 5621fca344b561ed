package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// traceParentLen is the length of a W3C trace context of version 00.
const traceParentLen = 55

// Tracing makes trace contexts for events that bring none. The trace id is derived from workspace and event id: a
// repeated event belongs to the same trace, and whoever knows the event knows its trace.
type Tracing struct {
	// Ratio of the new traces that are marked as sampled, 0 to 1.
	Ratio float64
}

// context returns the given context if it is a valid one, and a new one otherwise.
func (t Tracing) context(given, workspace, eventID string) string {
	if validTraceParent(given) {
		return given
	}
	var stack [256]byte
	in := append(stack[:0], workspace...)
	in = append(in, 0)
	in = append(in, eventID...)
	sum := sha256.Sum256(in)
	sum[0] |= 1 << 7 // neither id may be all zeros
	sum[16] |= 1 << 7

	out := make([]byte, 0, traceParentLen)
	out = append(out, "00-"...)
	out = hex.AppendEncode(out, sum[:16])
	out = append(out, '-')
	out = hex.AppendEncode(out, sum[16:24])
	if t.sampled(sum[8:16]) {
		return string(append(out, "-01"...))
	}
	return string(append(out, "-00"...))
}

// sampled decides as OpenTelemetry's ratio sampler does: by the low bits of the trace id.
func (t Tracing) sampled(low []byte) bool {
	return float64(binary.BigEndian.Uint64(low)>>1) < t.Ratio*float64(1<<63)
}

// validTraceParent accepts version 00 of W3C Trace Context §3.2: lower-case hexadecimal, no id of zeros only.
func validTraceParent(s string) bool {
	if len(s) != traceParentLen || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	for i := 3; i < traceParentLen; i++ {
		c := s[i]
		if i == 35 || i == 52 {
			continue
		}
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}
