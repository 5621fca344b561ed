package event

import (
	"strconv"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Refusal says why an event is not accepted. The producer has to change it: the same bytes are refused again.
type Refusal struct {
	Reason streamv1.Reason
	// Path leads to the offending value, e.g. "data.ranges[3].from"; "" when the whole event is meant. It is made of known
	// names only.
	Path string
	// Detail says what is wrong, without quoting the value.
	Detail string
}

// Error is path and detail in one sentence.
func (r *Refusal) Error() string {
	if r.Path == "" {
		return r.Detail
	}
	return r.Path + ": " + r.Detail
}

// Code is the reason as people see it, e.g. "BAD_SCHEMA".
func (r *Refusal) Code() string { return Code(r.Reason) }

// Code returns a reason as people see it: its name without the prefix of the enum.
func Code(reason streamv1.Reason) string {
	const prefix = "REASON_"
	name := reason.String()
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}

// Refuse builds a Refusal.
func Refuse(reason streamv1.Reason, path, detail string) *Refusal {
	return &Refusal{Reason: reason, Path: path, Detail: detail}
}

func badSchema(path, detail string) *Refusal {
	return Refuse(streamv1.Reason_REASON_BAD_SCHEMA, path, detail)
}

func at(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }
